-- deregister.lua: a worker that holds nothing leaves.
--
-- KEYS[1] prefix
-- ARGV[1] worker id
--
-- Returns 'ok'; 'gone' when it was not registered; 'busy' while it holds jobs (then nothing changed).

if not redis.call('ZSCORE', P .. 'workers', ARGV[1]) then return 'gone' end
if redis.call('SCARD', worker_key(ARGV[1], 'claims')) > 0 then return 'busy' end
redis.call('ZREM', P .. 'workers', ARGV[1])
redis.call('DEL', worker_key(ARGV[1]), worker_key(ARGV[1], 'orders')) -- no claims: that set is empty
return 'ok'
