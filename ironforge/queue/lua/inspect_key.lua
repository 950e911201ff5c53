-- inspect_key.lua: what is wrong with keys that are no jobs, each judged at one moment; changes nothing.
--
-- Uses: stats, ready, finish, books
-- KEYS[1] prefix
-- ARGV[1] what they are: 'key', then for each its name without the prefix, its type, 'timed' or ''; or 'worker', 'queue',
-- 'group', then names; or 'reaper'. ARGV[2] a head that waits longer than this is named (ms), ARGV[3…] as said
--
-- Returns {subject, rule, words, …} for each rule that is broken. `overdue` and `unreaped` say of a head that its time is
-- over while somebody lives who should see it: whoever asks looks again, a head that moved meanwhile is well.

local kind, late_ms = ARGV[1], tonumber(ARGV[2])
local REAPER_ALIVE_MS = 5000
local reply = {}

local function say(subject, rule, words)
  for _, value in ipairs({ subject, rule, words }) do reply[#reply + 1] = value end
end

local function inspect_key(key, wanted, timed)
  local found = redis.call('TYPE', P .. key).ok
  if found == 'none' then return end
  if found ~= wanted then return say(key, 'damaged', found) end
  local ttl = redis.call('PTTL', P .. key)
  if timed and ttl == -1 then say(key, 'no_ttl', '') end
  if not timed and ttl ~= -1 then say(key, 'expires', '') end
end

local function inspect_worker(wid)
  local info, claims, orders = worker_key(wid), worker_key(wid, 'claims'), worker_key(wid, 'orders')
  if not score_in(P .. 'workers', wid) then
    if redis.call('EXISTS', info, claims, orders) > 0 then say(wid, 'orphan', '') end
    return
  end
  if redis.call('EXISTS', info) == 0 then say(wid, 'worker', '') end
  local alone = ask('HGET', info, 'alone')
  if alone and not holds(claims, alone) then say(wid, 'alone', alone) end
  for _, order in ipairs(ask('SRANDMEMBER', orders, 1000) or {}) do
    local id = string.match(order, '^cancel:(.+)$')
    local job = id and (ask('HMGET', job_key(id), 'status', 'worker') or {})
    if job and (job[1] ~= 'running' or job[2] ~= wid) then say(wid, 'stale_order', order) end
  end
end

local function inspect_queue(queue)
  local last = ask('HGET', queue_key(queue, 'settings'), 'sequence')
  if not holds(P .. 'queues', queue) then say(queue, 'unknown_queue', '') end
  local highest = highest_sequence(queue)
  if last and not (tonumber(last) and tonumber(last) < BAND) or highest > (tonumber(last) or 0) then
    say(queue, 'sequence', (last or 'none') .. ', and ' .. string.format('%.0f', highest) .. ' is in use')
  end
  local mark = queue_key(queue, 'wake')
  local marks = ask('ZCARD', mark)
  if marks and marks > (score_in(mark, 'ready') and 1 or 0) then say(queue, 'wake', '') end
  if redis.pcall('ZCOUNT', P .. 'workers', now_ms, '+inf') == 0 then return end
  for _, status in ipairs({ 'scheduled', 'retrying' }) do
    local head = ask('ZRANGE', queue_key(queue, status), 0, 0, 'WITHSCORES') or {}
    if (tonumber(head[2]) or now_ms) < now_ms - late_ms then say(queue, 'overdue', status .. ': ' .. head[1]) end
  end
end

local function inspect_group(fingerprint)
  local count, size = score_in(P .. 'dead:groups', fingerprint), ask('ZCARD', P .. 'dead:group:' .. fingerprint) or 0
  if miscounts(count, size) then
    say(fingerprint, 'group_count', 'counts ' .. (count or 0) .. ' and holds ' .. size)
  end
end

local function inspect_reaper()
  local found = ask('HMGET', P .. 'meta', 'reap_tick', 'reap_after') or {}
  local tick, after = tonumber(found[1]), tonumber(found[2])
  if not tick or not after then return end -- whoever reaps next gives everybody a lease first
  local head = ask('ZRANGE', P .. 'workers', 0, 0, 'WITHSCORES') or {}
  local over = math.max(tonumber(head[2]) or now_ms, after)
  if now_ms - tick < REAPER_ALIVE_MS and over < now_ms - late_ms then say(head[1], 'unreaped', '') end
end

local inspect = { worker = inspect_worker, queue = inspect_queue, group = inspect_group }
if kind == 'reaper' then inspect_reaper() end
for i = 3, #ARGV, kind == 'key' and 3 or 1 do
  if kind == 'key' then inspect_key(ARGV[i], ARGV[i + 1], ARGV[i + 2] ~= '') else inspect[kind](ARGV[i]) end
end
return reply
