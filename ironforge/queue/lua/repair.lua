-- repair.lua: a job gets the one place that its status names, and leaves all others.
--
-- Uses: stats, ready, finish, take_back, books, repair
-- KEYS[1] prefix
-- ARGV[1] 'do' or 'tell', ARGV[2] job id; where it was found too, '' for nowhere: ARGV[3] a queue, ARGV[4] a worker's claims,
-- ARGV[5] an error group
--
-- Returns what was done, or would be, in words; nothing when the job is well by now, or cannot be read: then it stays.
-- A job that runs while no registered worker claims it is handed back as lapsed, so that one whose holder gets lost
-- again and again ends among the dead. A hash is never removed.

local id, found_in, wid, group = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local word, job = booked(id)

local function leave_other_places(queue)
  for _, part in ipairs(PLACES) do
    local its_own = queue == job.queue and part == job.place
    if not its_own and score_in(queue_key(queue, part), id) then
      step('removed from ' .. queue .. ':' .. part, 'zset', 'ZREM', queue_key(queue, part), id)
    end
  end
end

local function leave_group(fingerprint)
  if is_a('zset', P .. 'dead:groups') and score_in(P .. 'dead:group:' .. fingerprint, id) then
    step('removed from error group ' .. fingerprint, 'zset', 'ZREM', P .. 'dead:group:' .. fingerprint, id)
    steps[#steps + 1] = { 'group counted again', function() recount(fingerprint) end }
  end
end

local function sequence_of(score)
  if score and score % BAND >= 1 then return math.floor(score % BAND) end
  return math.max(1, (job.run_at or job.created_at or now_ms) * 1000 - EPOCH_US) -- where it would stand, about
end

local function take_place()
  local index = queue_key(job.queue, job.place)
  local score = score_in(index, id)
  if score and score_is_right(job, score) then return end
  local right
  if job.status == 'queued' then
    local sequence = sequence_of(score)
    right = job.rank * BAND + sequence
    local last = queue_state(job.queue).sequence
    if sequence > last then
      step('sequence raised', 'hash', 'HSET', queue_key(job.queue, 'settings'), 'sequence', sequence)
    end
    steps[#steps + 1] = { 'idle workers woken', function() wake(job.queue) end }
  else
    local field = TIMES[job.status]
    local time = job[field] or (score and score > job.kept_ms and score - job.kept_ms) or now_ms
    if not job[field] then step(field .. ' noted', 'hash', 'HSET', job.key, field, time) end
    right = time + job.kept_ms
  end
  step('placed in ' .. job.queue .. ':' .. job.place, 'zset', 'ZADD', index, right, id)
end

local function join_group()
  local fingerprint = job.fingerprint
  if not fingerprint then
    fingerprint = string.format('%.12s', redis.sha1hex('unknown|' .. (job.kind or '')))
    step('fingerprint noted', 'hash', 'HSET', job.key, 'fingerprint', fingerprint)
  end
  local key = P .. 'dead:group:' .. fingerprint
  if score_in(key, id) and score_in(P .. 'dead:groups', fingerprint) then return end
  if not is_a('zset', key) or not is_a('zset', P .. 'dead:groups') then return end
  if not score_in(key, id) then
    step('placed in error group ' .. fingerprint, 'zset', 'ZADD', key, job.finished_at or now_ms, id)
  end
  steps[#steps + 1] = { 'group counted again', function() recount(fingerprint) end }
end

local function drop(field) step(field .. ' dropped', 'hash', 'HDEL', job.key, field) end

local function leave_holder()
  if job.worker then drop('worker') end
  if job.worker and holds(worker_key(job.worker, 'claims'), id) then
    step('removed from the claims of ' .. job.worker, 'set', 'SREM', worker_key(job.worker, 'claims'), id)
  end
  if job.cancel_requested then drop('cancel_requested') end
end

local function repair_running()
  local holder = job.worker or ''
  if holds(worker_key(holder, 'claims'), id) and score_in(P .. 'workers', holder) then
    take_place()
    if job.cancel_requested and not holds(worker_key(holder, 'orders'), 'cancel:' .. id) then
      step('order to cancel given again', 'set', 'SADD', worker_key(holder, 'orders'), 'cancel:' .. id)
    end
  elseif is_sound(holder, job.queue) then
    local words = 'handed back as lapsed, for no worker holds it'
    steps[#steps + 1] = { words, function() take_back_job(running_job(id), 'lapsed', EVIDENCE) end }
  end
end

local function repair_job()
  if not TIMES[job.status] and job.status ~= 'queued' or job.unreadable then return end
  if not holds(P .. 'queues', job.queue) then step('queue made known', 'set', 'SADD', P .. 'queues', job.queue) end
  leave_other_places(job.queue)
  if redis.call('PTTL', job.key) ~= -1 then step('made to stay', 'hash', 'PERSIST', job.key) end
  local old = 'attempt:' .. (job.attempt_count - ATTEMPTS_KEPT)
  if redis.call('HEXISTS', job.key, old) == 1 then drop(old) end
  if job.status == 'running' then return repair_running() end
  leave_holder()
  take_place()
  if job.status == 'dead' then return join_group() end
  if job.fingerprint then leave_group(job.fingerprint) end
end

if word == 'damaged' then return {} end
if word == 'job' then repair_job() end
if found_in ~= job.queue then leave_other_places(found_in) end
if job.worker ~= wid and holds(worker_key(wid, 'claims'), id) then
  step('removed from the claims of ' .. wid, 'set', 'SREM', worker_key(wid, 'claims'), id)
end
if job.fingerprint ~= group then leave_group(group) end
return carry_out(ARGV[1] == 'do')
