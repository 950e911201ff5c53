-- delete.lua: any job that does not run -> gone.
--
-- Uses: stats, once, groups
-- KEYS[1] prefix
-- ARGV[1] job id, ARGV[2] idempotency key or '', ARGV[3] request hash
--
-- Returns 'deleted', 'missing', 'running' (then nothing changed) or 'key_conflict'.

local id, key, hash = ARGV[1], ARGV[2], ARGV[3]
local before = answered(key, hash)
if before then return before end

local job = redis.call('HMGET', job_key(id), 'status', 'queue', 'fingerprint')
local status, queue = job[1], job[2]
if not status then return 'missing' end
if status == 'running' then return 'running' end

remove(queue_key(queue, status), id)
if status == 'queued' then remove(queue_key(queue, 'suspects'), id) end
if status == 'dead' then leave_group(id, job[3]) end
touch(queue)
write_moves()
redis.call('UNLINK', job_key(id))
count('removed') -- see _ledger.lua
write_queues()
write_stats()
return remember(key, hash, 'deleted')
