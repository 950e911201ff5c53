-- hand_back.lua: the jobs of a worker whose end its supervisor saw go back at once.
--
-- Uses: stats, ready, finish, take_back
-- KEYS[1] prefix
-- ARGV[1] worker id
-- ARGV[2] cause: crashed (it died by itself: a crash on each job) | ended (the supervisor ended it: nobody is charged)
-- ARGV[3] evidence, error JSON for the attempts, '' for none
--
-- Returns the number of jobs handed back, -1 when the worker was gone already (then nothing changed).

if not redis.call('ZSCORE', P .. 'workers', ARGV[1]) then return -1 end
local handed = take_back(ARGV[1], ARGV[2], ARGV[3])
write_moves()
write_queues()
write_stats()
return handed
