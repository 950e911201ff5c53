-- run.lua: scheduled, retrying -> queued now, because a person asked.
--
-- Uses: stats, ready, once
-- KEYS[1] prefix
-- ARGV[1] job id, ARGV[2] idempotency key or '', ARGV[3] request hash
--
-- Returns 'done', 'missing', 'key_conflict', or the status that does not allow it (then nothing changed).

local id, key, hash = ARGV[1], ARGV[2], ARGV[3]
local before = answered(key, hash)
if before then return before end

local job = redis.call('HMGET', job_key(id), 'status', 'queue', 'priority', 'crashes')
local status, queue = job[1], job[2]
if not status then return 'missing' end
if status ~= 'scheduled' and status ~= 'retrying' then return status end

redis.call('HSET', job_key(id), 'status', 'queued', 'run_at', now_ms)
remove(queue_key(queue, status), id)
make_ready(queue, id, tonumber(job[3]) or 2, next_sequence(queue), tonumber(job[4]) or 0)
write_moves()
write_queues()
return remember(key, hash, 'done')
