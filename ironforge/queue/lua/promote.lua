-- promote.lua: scheduled, retrying -> queued, for what is due in the given queues.
--
-- Uses: stats, ready
-- KEYS[1] prefix
-- ARGV[1] at most so many of each status per queue, ARGV[2…] queues
--
-- Returns how many were promoted. Claims promote for their own queues too; this is for queues that nobody serves.

local moved = 0
for i = 2, #ARGV do
  moved = moved + promote(ARGV[i], tonumber(ARGV[1]))
end
write_queues()
return moved
