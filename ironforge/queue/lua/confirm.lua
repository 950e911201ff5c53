-- confirm.lua: the job of an Idempotency-Key exists; from now on it is never made again.
--
-- KEYS[1] prefix
-- ARGV[1] key, ARGV[2] request hash, ARGV[3] job id
--
-- Returns 'ok'. The window of 24 h goes on from the reservation. One that comes after it, when the key stands for
-- another job or for nothing, changes nothing.

local record, stands_for = P .. 'idem:' .. ARGV[1], '|' .. ARGV[2] .. '|' .. ARGV[3]
if redis.call('GET', record) == 'pending' .. stands_for then
  redis.call('SET', record, 'done' .. stands_for, 'KEEPTTL')
end
return 'ok'
