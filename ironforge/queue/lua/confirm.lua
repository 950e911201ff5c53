-- confirm.lua: the job of an Idempotency-Key exists; from now on it is never made again.
--
-- KEYS[1] prefix
-- ARGV[1] key, ARGV[2] request hash, ARGV[3] job id
--
-- Returns 'ok'. The window of 24 h goes on from the reservation.

redis.call('SET', P .. 'idem:' .. ARGV[1], 'done|' .. ARGV[2] .. '|' .. ARGV[3], 'XX', 'KEEPTTL')
return 'ok'
