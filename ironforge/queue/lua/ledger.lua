-- ledger.lua: every job that was ever submitted is in a list, or was removed.
--
-- Uses: stats
-- KEYS[1] prefix
-- ARGV[1] 'read' or 'correct', ARGV[2] with more queues than this nothing is added up, since it would take too long,
-- ARGV[3…] queues that are not among the queues
--
-- Returns {submitted, listed, removed, corrected}, or {} where nothing was added up; they are in balance when submitted = listed + removed + corrected.
-- 'correct' enters the difference under `corrected`, so that from now on only what is lost later shows.

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

if redis.call('SCARD', P .. 'queues') + #ARGV - 2 > tonumber(ARGV[2]) then return {} end
local queues = redis.call('SMEMBERS', P .. 'queues')
for i = 3, #ARGV do
  if redis.call('SISMEMBER', P .. 'queues', ARGV[i]) == 0 then queues[#queues + 1] = ARGV[i] end
end
local made, here = submitted(), listed(queues)
local found = redis.call('HMGET', P .. 'stats', 'removed', 'corrected')
local removed, corrected = tonumber(found[1]) or 0, tonumber(found[2]) or 0
local missing = made - here - removed - corrected
if ARGV[1] == 'correct' and missing ~= 0 then
  redis.call('HINCRBY', P .. 'stats', 'corrected', missing)
  corrected = corrected + missing
end
return { made, here, removed, corrected }
