-- trim.lua: completed and cancelled jobs whose time is over -> gone, in the given queues.
--
-- Uses: stats
-- KEYS[1] prefix
-- ARGV[1] completed jobs kept per queue at most, ARGV[2] at most so many removals in all, ARGV[3…] queues
--
-- Returns how many entries were removed; as many as ARGV[2]: there may be more. The index scores are removal times, so
-- those soonest over go first. Those that were jobs are counted as removed: see _ledger.lua.

local keep, left, gone = tonumber(ARGV[1]), tonumber(ARGV[2]), 0

local function drop(queue, status, ids)
  if #ids == 0 then return end
  local keys = {}
  for i = 1, #ids do
    -- A stray id (its job moved on) leaves this index, the job stays.
    if redis.call('HGET', job_key(ids[i]), 'status') == status then keys[#keys + 1] = job_key(ids[i]) end
  end
  if #keys > 0 then
    redis.call('UNLINK', unpack(keys))
    count('removed', #keys)
  end
  redis.call('ZREM', queue_key(queue, status), unpack(ids))
  touch(queue)
  gone, left = gone + #ids, left - #ids
end

for i = 3, #ARGV do
  local queue = ARGV[i]
  for _, status in ipairs({ 'completed', 'cancelled' }) do
    local index = queue_key(queue, status)
    drop(queue, status, redis.call('ZRANGE', index, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, left))
  end
  local excess = math.min(redis.call('ZCARD', queue_key(queue, 'completed')) - keep, left)
  if excess > 0 then
    drop(queue, 'completed', redis.call('ZRANGE', queue_key(queue, 'completed'), 0, excess - 1))
  end
end
write_queues()
write_stats()
return gone
