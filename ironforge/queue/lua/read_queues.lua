-- read_queues.lua: one consistent reading of the given queues; changes nothing.
--
-- KEYS[1] prefix
-- ARGV[1…] queues
--
-- Returns {now_ms, reading, …}; a reading is {paused_ms or '', changes, queued, suspects, scheduled, retrying,
-- running, completed, dead, cancelled, ready since (Unix ms of the longest waiting, '' for none)}.

local PARTS = { 'queued', 'suspects', 'scheduled', 'retrying', 'running', 'completed', 'dead', 'cancelled' }

local function ready_since(queue)
  local oldest
  for rank = 0, 3 do
    local head = redis.call('ZRANGE', queue_key(queue, 'queued'), rank * BAND, '(' .. string.format('%.0f', (rank + 1) * BAND),
      'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
    if head[2] then
      local since = math.floor((head[2] - rank * BAND + EPOCH_US) / 1000)
      if not oldest or since < oldest then oldest = since end
    end
  end
  return oldest
end

local reply = { now_ms }
for i = 1, #ARGV do
  local settings = redis.call('HMGET', queue_key(ARGV[i], 'settings'), 'paused', 'changes')
  local reading = { settings[1] or '', tonumber(settings[2]) or 0 }
  for _, part in ipairs(PARTS) do reading[#reading + 1] = redis.call('ZCARD', queue_key(ARGV[i], part)) end
  reading[#reading + 1] = reading[3] > 0 and ready_since(ARGV[i]) or ''
  reply[#reply + 1] = reading
end
return reply
