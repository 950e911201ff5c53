-- cancel.lua: scheduled, queued, retrying -> cancelled; a running job's worker is asked to stop it.
--
-- Uses: once
-- KEYS[1] prefix
-- ARGV[1] job id, ARGV[2] idempotency key or '', ARGV[3] request hash
--
-- Returns 'done', 'requested', 'missing', 'key_conflict', or the status that does not allow it.
-- A worker that dies before it obeys leaves a cancelled job: what takes its jobs back honours the request.

local CANCELLED_MS = 86400000
local id, key, hash = ARGV[1], ARGV[2], ARGV[3]
local before = answered(key, hash)
if before then return before end

local job = redis.call('HMGET', job_key(id), 'status', 'queue', 'worker', 'retention_ms')
local status, queue = job[1], job[2]
if not status then return 'missing' end
if status == 'running' then
  redis.call('HSET', job_key(id), 'cancel_requested', 1)
  redis.call('SADD', worker_key(job[3], 'orders'), 'cancel:' .. id)
  touch(queue)
  write_queues()
  return remember(key, hash, 'requested')
end
if status == 'completed' or status == 'dead' or status == 'cancelled' then return status end

redis.call('HSET', job_key(id), 'status', 'cancelled', 'finished_at', now_ms)
remove(queue_key(queue, status), id)
if status == 'queued' then remove(queue_key(queue, 'suspects'), id) end
add(queue_key(queue, 'cancelled'), now_ms + (tonumber(job[4]) or CANCELLED_MS), id)
touch(queue)
write_moves()
write_queues()
return remember(key, hash, 'done')
