-- claim.lua: queued -> running, for up to n jobs of the given queues, in their order.
--
-- Uses: stats, ready, taken, served
-- KEYS[1] prefix
-- ARGV[1] worker id, ARGV[2] lane, ARGV[3] token made for this claim, ARGV[4] n (free slots),
-- ARGV[5] at most so many due jobs are promoted per queue, ARGV[6…] queues, most wanted first
--
-- Returns {'gone'} for a worker without a lease, else {word, orders, next_due_ms, {id, fence, fields, …}}:
-- orders are `cancel:<id>`, and `hold` for a worker that is alone with a suspect, or is to be: it takes nothing now, and
-- no mark, which another waits for; next_due_ms is the wait until the next due job, -1 for none.
-- Sent again with its token, it returns the same jobs.
-- A token may begin with the number of the lane's turn, in hex, and a dot. A claim that a slow network delivers after a
-- later one takes nothing new, and says `late`: nobody may wait for its answer, and its worker would hold jobs that it does not know.
-- A worker that dies after this script holds its jobs until its supervisor hands them back or its lease lapses.

local wid, lane, token, n, limit = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local worker, claims = worker_key(wid), worker_key(wid, 'claims')
if not redis.call('ZSCORE', P .. 'workers', wid) then return { 'gone' } end

local orders = redis.call('SMEMBERS', worker_key(wid, 'orders'))
local jobs, claimed, next_due = {}, {}, nil
local known = redis.call('HMGET', worker, 'lane:' .. lane, 'alone', 'turn:' .. lane)
local turn, last_turn = tonumber(string.match(token, '^(%x+)%.') or '', 16), tonumber(known[3])
local is_late = turn and last_turn and turn < last_turn

if is_late or known[1] == token then -- the reply of this very claim was lost: give it again
  return { is_late and 'late' or 'ok', orders, is_late and -1 or 0, taken_under(claims, token) }
end

local first_fence, now_text = '1:' .. token, string.format('%.0f', now_ms)
local waits = {}

-- What a claim reads out of a job's fields: the fence it gets, and its kind. Nothing of one that is not queued.
local function read_fields(key, fields)
  local fence, kind = first_fence, ''
  for i = 1, #fields, 2 do
    local name = fields[i]
    if name == 'status' and fields[i + 1] ~= 'queued' then return end
    if name == 'kind' then
      kind = fields[i + 1]
    elseif name == 'fence' then
      fence = (tonumber(string.match(fields[i + 1], '^%d+')) or 0) + 1 .. ':' .. token
    elseif name == 'progress' then
      redis.call('HDEL', key, 'progress')
    end
  end
  return fence, kind
end

local function take(queue, id, score)
  local key = job_key(id)
  local fields = redis.call('HGETALL', key)
  local fence, kind = read_fields(key, fields)
  if #fields == 0 or not fence then return false end -- a ghost or a stray: it has left the index
  local sequence = score % BAND
  redis.call('HSET', key, 'status', 'running', 'worker', wid, 'fence', fence, 'started_at', now_text, 'sequence', sequence)
  add(queue_key(queue, 'running'), now_text, id)
  claimed[#claimed + 1] = id
  local n = #jobs
  jobs[n + 1], jobs[n + 2], jobs[n + 3], jobs[n + 4] = id, fence, now_ms, fields
  waits[kind] = waits[kind] or 'wait|' .. label(kind)
  observe(waits[kind], math.floor((now_us - EPOCH_US - sequence) / 1000))
  touch(queue)
  return true
end

-- A job that may kill its process is taken by an empty child only. Of all children of the queue one is marked; it
-- claims nothing more until it is empty. Returns true when this worker has to hold back, or took the suspect.
local function take_suspect(queue)
  local index = queue_key(queue, 'suspects')
  if queue_state(queue).paused or redis.call('ZCARD', index) == 0 then return false end
  local marked = queue_state(queue).suspect_worker
  if not marked or not redis.call('ZSCORE', P .. 'workers', marked) then
    redis.call('HSET', queue_key(queue, 'settings'), 'suspect_worker', wid)
    marked = wid
  end
  if marked ~= wid then return false end
  if redis.call('SCARD', claims) > 0 then return true end
  local popped = redis.call('ZPOPMIN', index)
  if take(queue, popped[1], tonumber(popped[2])) then
    redis.call('HSET', worker, 'alone', popped[1])
    redis.call('HDEL', queue_key(queue, 'settings'), 'suspect_worker')
  end
  return true
end

local function take_ready(queue)
  if n == 0 then return end -- who took the mark of this one for us sets it again
  local state = queue_state(queue)
  local index = queue_key(queue, 'queued')
  local is_empty = state.paused
  while n > 0 and not is_empty do
    local popped = redis.call('ZPOPMIN', index, n)
    is_empty = #popped < 2 * n
    for i = 1, #popped, 2 do
      if take(queue, popped[i], tonumber(popped[i + 1])) then n = n - 1 end
    end
  end
  -- Stopped because it had enough: what is left is for another idle worker.
  if n == 0 and redis.call('ZCARD', index) > 0 then
    wake(queue)
  elseif state.wake and redis.call('ZCARD', queue_key(queue, 'suspects')) == 0 then
    state.wake = false -- what was promoted here was taken here
  end
end

local held_back = known[2] -- alone with a suspect
local unusual = {}
visit_having({ 'scheduled', 'retrying', 'suspects' }, 6, #ARGV, function(queue)
  local _, due = promote(queue, limit)
  if due and (not next_due or due < next_due) then next_due = due end
  unusual[#unusual + 1] = queue
end)
for _, queue in ipairs(unusual) do held_back = held_back or n > 0 and take_suspect(queue) end
if held_back then
  orders[#orders + 1] = 'hold'
  visit_having({ 'queued', 'suspects' }, 6, #ARGV, wake)
end
visit_until(function() return held_back or n == 0 end, { 'queued' }, 6, #ARGV, take_ready)

local marks = turn and turn ~= last_turn and { 'turn:' .. lane, turn } or {}
if #claimed > 0 then
  redis.call('SADD', claims, unpack(claimed))
  marks[#marks + 1], marks[#marks + 2] = 'lane:' .. lane, token
end
if next(marks) then redis.call('HSET', worker, unpack(marks)) end
write_moves()
write_queues()
write_stats()
return { 'ok', orders, next_due and math.max(0, next_due - now_ms) or -1, jobs }
