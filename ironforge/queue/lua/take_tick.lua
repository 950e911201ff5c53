-- take_tick.lua: who does a duty of maintenance now.
--
-- KEYS[1] prefix
-- ARGV[1] duty, ARGV[2] one caller does it within so many ms
--
-- Returns 1 for that caller, 0 for all others. One that dies with the tick is followed by another once it is over.
-- It runs also when Redis is full, for that is when retention has to go on. A tick that lasts longer than it may was
-- taken before the clock ran back: it counts no more.

local key = P .. 'tick:' .. ARGV[1]
local left_ms = redis.call('PTTL', key)
if left_ms >= 0 and left_ms <= tonumber(ARGV[2]) then return 0 end
redis.call('SET', key, '1', 'PX', ARGV[2])
return 1
