-- _repair.lua: what is to be done is gathered first, then done or only told; nothing is done to a key of another type.

local EVIDENCE = '{"type":"WorkerLost","message":"the books said that it runs, but no worker held it","traceback":""}'
local steps = {}

local function is_a(wanted, key)
  local found = redis.call('TYPE', key).ok
  return found == wanted or found == 'none'
end

-- One command on one key.
local function step(words, wanted, command, key, ...)
  if is_a(wanted, key) then steps[#steps + 1] = { words, command, key, ... } end
end

local function recount(fingerprint)
  local size = redis.call('ZCARD', P .. 'dead:group:' .. fingerprint)
  if size == 0 then return redis.call('ZREM', P .. 'dead:groups', fingerprint) end
  redis.call('ZADD', P .. 'dead:groups', size, fingerprint)
end

-- Whether a worker's jobs of this queue can be handed back without meeting a key of another type on the way.
local function is_sound(wid, queue)
  for _, part in ipairs(PLACES) do
    if not is_a('zset', queue_key(queue, part)) then return false end
  end
  return is_a('hash', worker_key(wid)) and is_a('set', worker_key(wid, 'claims')) and is_a('set', worker_key(wid, 'orders'))
    and is_a('hash', queue_key(queue, 'settings')) and is_a('zset', queue_key(queue, 'wake')) and is_a('hash', P .. 'stats')
    and is_a('zset', P .. 'dead:groups') and is_a('zset', P .. 'workers') and is_a('set', P .. 'kinds')
end

-- A step may be a function too: { words, function }. Returns the words of all steps.
local function carry_out(really)
  local told = {}
  for i, one in ipairs(steps) do
    told[i] = one[1]
    if really then
      if type(one[2]) == 'function' then one[2]() else redis.call(unpack(one, 2)) end
    end
  end
  if really then
    write_moves()
    write_queues()
    write_stats()
  end
  return told
end
