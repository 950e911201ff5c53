-- raw.lua: for benchmarks: the least that a job costs Redis, without any bookkeeping.
--
-- KEYS[1] prefix
-- ARGV[1] a number that makes the member
--
-- Returns 'ok'. Two writes of a hash and a way through two sorted sets; leaves a hash for each number.

local id = ARGV[1]
redis.call('HSET', job_key('raw-' .. id), 'kind', 'raw', 'status', 'queued')
redis.call('ZADD', queue_key('raw', 'a'), now_ms, id)
redis.call('ZREM', queue_key('raw', 'a'), id)
redis.call('HSET', job_key('raw-' .. id), 'status', 'completed')
redis.call('ZADD', queue_key('raw', 'b'), now_ms, id)
return 'ok'
