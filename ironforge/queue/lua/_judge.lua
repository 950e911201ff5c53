-- _judge.lua: what is wrong with a job, judged at one moment. Changes nothing.
--
-- `job` is what `booked` read. `say(rule, words)` is called for each rule that is broken; the rules are in rules.py.

local MOST_FIELDS = 64

-- Of all jobs of a call: what they ask of the same queue or error group.
local asked = {}

local function once(word, command, key, member)
  local about = word .. member
  if asked[about] == nil then asked[about] = ask(command, key, member) or 0 end
  return asked[about] ~= 0
end

local function judge_place(job, say)
  local score = score_in(queue_key(job.queue, job.place), job.id)
  if score then
    if not score_is_right(job, score) then say('score', string.format('%.0f', score)) end
    return
  end
  local places = {}
  for _, part in ipairs(PLACES) do
    if score_in(queue_key(job.queue, part), job.id) then places[#places + 1] = part end
  end
  local rule = #places == 0 and 'not_indexed' or #places > 1 and 'several_places' or 'wrong_place'
  if #places == 1 and job.status == 'queued' and (places[1] == 'queued' or places[1] == 'suspects') then
    rule = 'suspect'
  end
  say(rule, table.concat(places, ', '))
end

local function judge_holder(job, say)
  local wid = job.worker
  if job.status ~= 'running' then
    if wid then say('claimed', wid) end
    if job.cancel_requested then say('order', '') end
  elseif not wid or not holds(worker_key(wid, 'claims'), job.id) or not once('worker:', 'ZSCORE', P .. 'workers', wid) then
    say('unclaimed', wid or '')
  elseif job.cancel_requested and not holds(worker_key(wid, 'orders'), 'cancel:' .. job.id) then
    say('order', wid)
  end
end

local function judge_group(job, say)
  local fingerprint = job.fingerprint or ''
  local grouped = score_in(P .. 'dead:group:' .. fingerprint, job.id)
  if job.status ~= 'dead' then
    if grouped then say('group', fingerprint) end
  elseif not grouped or not once('group:', 'ZSCORE', P .. 'dead:groups', fingerprint) then
    say('group', fingerprint)
  end
end

-- Each delivery that ended left one attempt, the last ten are kept; losses and retries stay below their limits.
local function judge_counts(job, say)
  local ended = tonumber(string.match(job.fence or '0:', '^(%d+):'))
  local live, running = TIMES[job.status] ~= 'finished_at', job.status == 'running'
  local more = job.generation + (live and -1 or 0) -- each retry by hand may keep the counts
  if running and not string.match(job.fence or '', '^%d+:.') then say('fence', job.fence or '') end
  if not ended or job.attempt_count ~= ended - (running and 1 or 0) then
    say('counts', 'attempt_count ' .. job.attempt_count .. ' with fence ' .. (job.fence or 'none'))
  end
  if job.retry_count > job.max_retries then say('counts', 'retry_count ' .. job.retry_count .. ' of ' .. job.max_retries) end
  if job.crashes > MAX_CRASHES + more then say('counts', 'crashes ' .. job.crashes) end
  if job.lapses > MAX_LAPSES + 1 + more then say('counts', 'lapses ' .. job.lapses) end
  local fields = redis.call('HLEN', job.key)
  if fields > MOST_FIELDS then say('fields', fields .. ' fields') end
  if redis.call('PTTL', job.key) ~= -1 then say('expires', '') end
  local count = job.attempt_count
  local attempts = redis.call('HMGET', job.key, 'attempt:' .. count, 'attempt:' .. (count - ATTEMPTS_KEPT))
  local last = attempts[1] or ''
  if count > 0 and (string.match(last, '^%d+ %d+ %S+ (%a+)') == 'completed') ~= (job.status == 'completed') then
    say('outcome', string.format('%.80s', last))
  end
  if attempts[2] then say('attempts', '') end
end

local function judge(job, say)
  if not TIMES[job.status] and job.status ~= 'queued' then return say('status', job.status) end
  if job.unreadable then return say('fields', job.unreadable) end
  if not once('queue:', 'SISMEMBER', P .. 'queues', job.queue) then say('unknown_queue', '') end
  judge_place(job, say)
  judge_holder(job, say)
  judge_group(job, say)
  judge_counts(job, say)
  local paused = job.status == 'running' and tonumber(queue_state(job.queue).paused)
  if paused and job.started_at and job.started_at > paused then say('paused', '') end
end
