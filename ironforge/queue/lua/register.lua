-- register.lua: a worker gets its lease. Its supervisor calls this before it starts the process.
--
-- KEYS[1] prefix
-- ARGV[1] worker id, ARGV[2] lease_ms, ARGV[3…] field, value of worker:<wid>
--
-- Returns 'ok', or 'exists' when the id is taken: an id is never used twice.

if redis.call('ZADD', P .. 'workers', 'NX', now_ms + tonumber(ARGV[2]), ARGV[1]) == 0 then return 'exists' end
redis.call('HSET', worker_key(ARGV[1]), 'registered_at', now_ms, unpack(ARGV, 3))
return 'ok'
