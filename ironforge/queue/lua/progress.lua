-- progress.lua: a running job says how far it is.
--
-- KEYS[1] prefix
-- ARGV[1] job id, ARGV[2] fence, ARGV[3] progress JSON
--
-- Returns 'ok', or 'refused' when the job does not run under this fence (then nothing changed).

local job = redis.call('HMGET', job_key(ARGV[1]), 'status', 'fence')
if job[1] ~= 'running' or job[2] ~= ARGV[2] then return 'refused' end
redis.call('HSET', job_key(ARGV[1]), 'progress', ARGV[3])
return 'ok'
