-- read_ledger.lua: every job that was ever submitted is in a list, or was removed; changes nothing.
--
-- Uses: stats, ledger
-- KEYS[1] prefix
-- ARGV[1] with more queues than this nothing is added up, since it would take too long, ARGV[2…] queues that may not be
-- among the queues
--
-- Returns {submitted, listed, removed, corrected}, or {} where nothing was added up; they are in balance when
-- submitted = listed + removed + corrected. repair_key.lua enters a difference under `corrected`.

return ledger(tonumber(ARGV[1]), { unpack(ARGV, 2) })
