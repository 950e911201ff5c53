-- _ledger.lua: submitted = listed + removed + corrected, or jobs are gone without a record. Changes nothing.

local function submitted()
  local fields, sum = {}, 0
  local kinds = redis.call('SMEMBERS', P .. 'kinds') -- at most 200
  kinds[#kinds + 1] = 'other'
  for _, kind in ipairs(kinds) do
    for rank = 0, 3 do fields[#fields + 1] = 'submitted|' .. kind .. '|' .. rank end
  end
  for _, found in ipairs(redis.call('HMGET', P .. 'stats', unpack(fields))) do sum = sum + (tonumber(found) or 0) end
  return sum
end

local function listed(queues)
  local sum = 0
  for _, queue in ipairs(queues) do
    for _, part in ipairs({ 'queued', 'suspects', 'scheduled', 'retrying', 'running', 'completed', 'dead', 'cancelled' }) do
      sum = sum + redis.call('ZCARD', queue_key(queue, part))
    end
  end
  return sum
end

-- Returns {submitted, listed, removed, corrected}; {} where there are more than `most` queues: it would take too long.
-- others: queues that may not be among the queues.
local function ledger(most, others)
  if redis.call('SCARD', P .. 'queues') + #others > most then return {} end
  local queues = redis.call('SMEMBERS', P .. 'queues')
  for _, queue in ipairs(others) do
    if redis.call('SISMEMBER', P .. 'queues', queue) == 0 then queues[#queues + 1] = queue end
  end
  local found = redis.call('HMGET', P .. 'stats', 'removed', 'corrected')
  return { submitted(), listed(queues), tonumber(found[1]) or 0, tonumber(found[2]) or 0 }
end
