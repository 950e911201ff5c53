-- reap.lua: the jobs of workers whose lease ran out go back to their queues.
--
-- Uses: stats, ready, finish, take_back, reap_tick
-- KEYS[1] prefix
-- ARGV[1] lease_ms, ARGV[2] a gap between ticks above which nobody is reaped for one lease (ms),
-- ARGV[3] at most so many workers, ARGV[4] evidence, error JSON
--
-- Returns the ids of the reaped workers.

if now_ms < tick_reaper(tonumber(ARGV[1]), tonumber(ARGV[2])) then return {} end

local expired = redis.call('ZRANGE', P .. 'workers', '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, ARGV[3])
for _, wid in ipairs(expired) do take_back(wid, 'lapsed', ARGV[4]) end
write_moves()
write_queues()
write_stats()
return expired
