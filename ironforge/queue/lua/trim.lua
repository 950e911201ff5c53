-- trim.lua: completed and cancelled jobs whose time is over -> gone, in the given queues.
--
-- KEYS[1] prefix
-- ARGV[1] completed jobs kept per queue at most, ARGV[2] at most so many removals per status and queue,
-- ARGV[3…] queues
--
-- Returns how many were removed. The index scores are removal times, so those soonest over go first.

local function drop(queue, status, ids)
  if #ids == 0 then return 0 end
  local keys = {}
  for i = 1, #ids do
    -- A stray id (its job moved on) leaves this index, the job stays.
    if redis.call('HGET', job_key(ids[i]), 'status') == status then keys[#keys + 1] = job_key(ids[i]) end
  end
  if #keys > 0 then redis.call('UNLINK', unpack(keys)) end
  redis.call('ZREM', queue_key(queue, status), unpack(ids))
  touch(queue)
  return #ids
end

local keep, limit, gone = tonumber(ARGV[1]), tonumber(ARGV[2]), 0
for i = 3, #ARGV do
  local queue = ARGV[i]
  for _, status in ipairs({ 'completed', 'cancelled' }) do
    local index = queue_key(queue, status)
    gone = gone + drop(queue, status, redis.call('ZRANGE', index, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, limit))
  end
  local excess = math.min(redis.call('ZCARD', queue_key(queue, 'completed')) - keep, limit)
  if excess > 0 then
    gone = gone + drop(queue, 'completed', redis.call('ZRANGE', queue_key(queue, 'completed'), 0, excess - 1))
  end
end
write_queues()
return gone
