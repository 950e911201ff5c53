-- beat.lua: a worker's loop is alive and says what it does; it hears what is asked of it.
--
-- KEYS[1] prefix
-- ARGV[1] worker id, ARGV[2…] field, value of worker:<wid>
--
-- Returns {'ok', orders} or {'gone'}. Orders stay until what they ask for has happened.

if not redis.call('ZSCORE', P .. 'workers', ARGV[1]) then return { 'gone' } end
redis.call('HSET', worker_key(ARGV[1]), 'beat_at', now_ms, unpack(ARGV, 2))
return { 'ok', redis.call('SMEMBERS', worker_key(ARGV[1], 'orders')) }
