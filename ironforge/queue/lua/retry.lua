-- retry.lua: dead, cancelled -> queued, because a person asked.
--
-- Uses: stats, ready, once, groups
-- KEYS[1] prefix
-- ARGV[1] job id, ARGV[2] '1' resets retry_count, crashes and lapses, ARGV[3] idempotency key or '', ARGV[4] request hash
--
-- Returns 'done', 'missing', 'key_conflict', or the status that does not allow it (then nothing changed).
-- Two callers at once: one gets 'done', the other the new status.

local id, reset, key, hash = ARGV[1], ARGV[2] == '1', ARGV[3], ARGV[4]
local before = answered(key, hash)
if before then return before end

local job = redis.call('HMGET', job_key(id), 'status', 'queue', 'priority', 'crashes', 'fingerprint')
local status, queue = job[1], job[2]
if not status then return 'missing' end
if status ~= 'dead' and status ~= 'cancelled' then return status end

local crashes = tonumber(job[4]) or 0
if reset then
  crashes = 0
  redis.call('HDEL', job_key(id), 'retry_count', 'crashes', 'lapses')
end
redis.call('HDEL', job_key(id), 'finished_at', 'reason', 'fingerprint', 'run_at', 'progress', 'started_at')
redis.call('HSET', job_key(id), 'status', 'queued')
redis.call('HINCRBY', job_key(id), 'generation', 1)
remove(queue_key(queue, status), id)
if status == 'dead' then leave_group(id, job[5]) end
make_ready(queue, id, tonumber(job[3]) or 2, next_sequence(queue), crashes)
write_moves()
write_queues()
return remember(key, hash, 'done')
