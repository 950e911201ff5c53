-- repair_key.lua: a queue, a worker, an error group or a key with a time limit is put right, as far as that is safe.
--
-- Uses: stats, ready, finish, take_back, books, repair, ledger
-- KEYS[1] prefix
-- ARGV[1] 'do' or 'tell', ARGV[2] 'worker', 'queue', 'group', 'timed', 'lasting' or 'ledger', ARGV[3] its name (of a key:
-- without the prefix), ARGV[4] the time limit that a timed key gets (ms), or of how many queues a ledger is added up
--
-- Returns what was done, or would be, in words; nothing when it is well by now.
-- A worker that has no lease is forgotten, and its jobs go back as lapsed: it could not renew anyway.

local kind, name = ARGV[2], ARGV[3]

local function repair_worker()
  local info = worker_key(name)
  if not score_in(P .. 'workers', name) then
    local keys = redis.call('EXISTS', info, worker_key(name, 'claims'), worker_key(name, 'orders'))
    if keys == 0 or not is_a('set', worker_key(name, 'claims')) then return end
    for _, id in ipairs(redis.call('SMEMBERS', worker_key(name, 'claims'))) do
      local queue = ask('HGET', job_key(id), 'queue')
      if queue and not is_sound(name, queue) then return end
    end
    local words = 'forgotten, for it has no lease; its jobs handed back as lapsed'
    steps[#steps + 1] = { words, function() take_back(name, 'lapsed', EVIDENCE) end }
    return
  end
  local alone = ask('HGET', info, 'alone')
  if alone and not holds(worker_key(name, 'claims'), alone) then
    step('may claim again', 'hash', 'HDEL', info, 'alone')
  end
  for _, order in ipairs(ask('SRANDMEMBER', worker_key(name, 'orders'), 1000) or {}) do
    local id = string.match(order, '^cancel:(.+)$')
    local job = id and (ask('HMGET', job_key(id), 'status', 'worker') or {})
    if job and (job[1] ~= 'running' or job[2] ~= name) then
      step('order withdrawn: ' .. order, 'set', 'SREM', worker_key(name, 'orders'), order)
    end
  end
end

local function repair_queue()
  if not holds(P .. 'queues', name) then step('made known', 'set', 'SADD', P .. 'queues', name) end
  local last, highest = tonumber(ask('HGET', queue_key(name, 'settings'), 'sequence') or 0), highest_sequence(name)
  if not last or last >= BAND or last < highest then
    step('sequence set', 'hash', 'HSET', queue_key(name, 'settings'), 'sequence', highest)
  end
  local mark = queue_key(name, 'wake')
  local marks = ask('ZCARD', mark)
  if marks and marks > (score_in(mark, 'ready') and 1 or 0) then
    step('wake mark made anew', 'zset', 'DEL', mark)
    steps[#steps + 1] = { 'idle workers woken', function() wake(name) end }
  end
end

local function repair_group()
  local key = P .. 'dead:group:' .. name
  if not is_a('zset', key) or not is_a('zset', P .. 'dead:groups') then return end
  local size = redis.call('ZCARD', key)
  if miscounts(score_in(P .. 'dead:groups', name), size) then
    steps[#steps + 1] = { 'counted again: ' .. size, function() recount(name) end }
  end
end

local function repair_timed()
  if redis.call('PTTL', P .. name) == -1 then
    steps[#steps + 1] = { 'will end', 'PEXPIRE', P .. name, tonumber(ARGV[4]) }
  end
end

local function repair_lasting()
  if redis.call('PTTL', P .. name) >= 0 then steps[#steps + 1] = { 'made to stay', 'PERSIST', P .. name } end
end

-- From now on only what is lost later shows.
local function repair_ledger()
  local found = ledger(tonumber(ARGV[4]), {})
  local missing = next(found) and found[1] - found[2] - found[3] - found[4] or 0
  if missing ~= 0 then step(missing .. ' entered as missing', 'hash', 'HINCRBY', P .. 'stats', 'corrected', missing) end
end

local repairs = { worker = repair_worker, queue = repair_queue, group = repair_group, timed = repair_timed,
  lasting = repair_lasting, ledger = repair_ledger }
repairs[kind]()
return carry_out(ARGV[1] == 'do')
