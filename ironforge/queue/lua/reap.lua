-- reap.lua: the jobs of workers whose lease ran out go back to their queues.
--
-- Uses: stats, ready, finish, take_back
-- KEYS[1] prefix
-- ARGV[1] lease_ms, ARGV[2] a gap between ticks above which nobody is reaped for one lease (ms),
-- ARGV[3] at most so many workers, ARGV[4] evidence, error JSON
--
-- Returns the ids of the reaped workers.
-- After an outage (no tick for a while, or the clock ran back) every worker first gets one whole lease to renew.

local meta = P .. 'meta'
local found = redis.call('HMGET', meta, 'reap_tick', 'reap_after')
local last, after = tonumber(found[1]), tonumber(found[2]) or 0
if not last or now_ms - last > tonumber(ARGV[2]) or now_ms < last then
  after = now_ms + tonumber(ARGV[1])
end
if last and now_ms < last then -- a lease given before the clock ran back would last as long as it ran back
  local too_long = redis.call('ZRANGE', P .. 'workers', '(' .. after, '+inf', 'BYSCORE', 'LIMIT', 0, 1000)
  for _, wid in ipairs(too_long) do redis.call('ZADD', P .. 'workers', 'XX', after, wid) end
end
redis.call('HSET', meta, 'reap_tick', now_ms, 'reap_after', after)
if now_ms < after then return {} end

local expired = redis.call('ZRANGE', P .. 'workers', '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, ARGV[3])
for _, wid in ipairs(expired) do take_back(wid, 'lapsed', ARGV[4]) end
write_moves()
write_queues()
write_stats()
return expired
