-- _finish.lua: what happens to a job when a run of it ends, whoever ends it.
--
-- `job` is what `running_job` read. Every end writes the attempt, the statistics, the index and the hash.

local ATTEMPTS_KEPT = 10
local COMPLETED_MS = 86400000
local now_text = string.format('%.0f', now_ms) -- a number is turned into text at each use, which costs more than a read
local MAX_CRASHES = 3
local MAX_LAPSES = 20

local function running_job(id)
  local key = job_key(id)
  local f = redis.call('HMGET', key, 'status', 'fence', 'queue', 'kind', 'worker', 'started_at', 'attempt_count',
    'cancel_requested', 'retention_ms', 'crashes', 'lapses', 'retry_count', 'max_retries', 'priority', 'sequence', 'settled')
  return {
    id = id, key = key, status = f[1], fence = f[2], queue = f[3], kind = f[4], worker = f[5],
    started_at = f[6] or '0', attempt_count = tonumber(f[7]) or 0, cancel_requested = f[8], retention_ms = tonumber(f[9]),
    crashes = tonumber(f[10]) or 0, lapses = tonumber(f[11]) or 0, retry_count = tonumber(f[12]) or 0,
    max_retries = tonumber(f[13]) or 3, rank = tonumber(f[14]) or 2, sequence = tonumber(f[15]), settled = f[16],
  }
end

-- Ends the run: attempt, statistics, claim, running index. The caller then puts the job somewhere.
-- set: flat field, value list; gets the end's own fields appended.
local function end_run(job, outcome, error_json, set)
  local number, at = job.attempt_count + 1, #set
  local attempt = job.started_at .. ' ' .. now_text .. ' ' .. (job.worker or '-') .. ' ' .. outcome
  if error_json ~= '' then
    attempt = attempt .. ' ' .. error_json
    set[at + 1], set[at + 2] = 'last_error', error_json
    at = at + 2
  end
  set[at + 1], set[at + 2], set[at + 3], set[at + 4] = 'attempt_count', number, 'attempt:' .. number, attempt
  if not job.taken_back then -- a worker whose job was taken from it did not settle it, whatever it sends later
    set[at + 5], set[at + 6] = 'settled', job.fence
  end
  redis.call('HSET', job.key, unpack(set))
  if number > ATTEMPTS_KEPT then redis.call('HDEL', job.key, 'attempt:' .. (number - ATTEMPTS_KEPT)) end
  redis.call('HDEL', job.key, 'worker', 'cancel_requested')
  if job.worker then
    drop_claim(job.worker, job.id)
    if job.cancel_requested then redis.call('SREM', worker_key(job.worker, 'orders'), 'cancel:' .. job.id) end
    if job.crashes >= SUSPECT_AT then redis.call('HDEL', worker_key(job.worker), 'alone') end
  end
  remove(queue_key(job.queue, 'running'), job.id)
  observe('duration|' .. label(job.kind) .. '|' .. outcome, now_ms - job.started_at)
  if outcome == 'failed' then
    count('failed|' .. label(job.kind))
    count_in_slot('failed|' .. job.queue)
  end
  touch(job.queue)
end

local function to_completed(job, result)
  local set = { 'status', 'completed', 'finished_at', now_text }
  if result ~= '' then set[5], set[6] = 'result', result end
  end_run(job, 'completed', '', set)
  add(queue_key(job.queue, 'completed'), now_ms + (job.retention_ms or COMPLETED_MS), job.id)
  count('completed|' .. label(job.kind))
  count_in_slot('completed|' .. job.queue)
end

local function to_cancelled(job, outcome, error_json, set)
  for _, value in ipairs({ 'status', 'cancelled', 'finished_at', now_text }) do set[#set + 1] = value end
  end_run(job, outcome, error_json, set)
  add(queue_key(job.queue, 'cancelled'), now_ms + (job.retention_ms or COMPLETED_MS), job.id)
end

local function to_dead(job, outcome, error_json, fingerprint, reason, set)
  for _, value in ipairs({ 'status', 'dead', 'finished_at', now_text, 'fingerprint', fingerprint }) do
    set[#set + 1] = value
  end
  if reason ~= '' then
    set[#set + 1] = 'reason'
    set[#set + 1] = reason
  end
  end_run(job, outcome, error_json, set)
  add(queue_key(job.queue, 'dead'), now_ms, job.id)
  add(P .. 'dead:group:' .. fingerprint, now_ms, job.id)
  redis.call('ZINCRBY', P .. 'dead:groups', 1, fingerprint)
  count('dlq|' .. label(job.kind))
  count_in_slot('dead|' .. job.queue)
end

-- charged: this spends a retry. An uncharged one is a release with a delay.
local function to_retrying(job, outcome, error_json, delay_ms, charged)
  local due = now_ms + delay_ms
  local set = { 'status', 'retrying', 'run_at', due }
  if charged then
    local spent = job.retry_count + 1
    set[5], set[6] = 'retry_count', spent
    count('retried|' .. label(job.kind) .. '|' .. (spent > 10 and '10+' or spent))
  end
  end_run(job, outcome, error_json, set)
  add(queue_key(job.queue, 'retrying'), due, job.id)
  wake(job.queue)
end

-- Back to its place in the queue, with the sequence it had.
local function to_queued(job, outcome, error_json, set)
  set[#set + 1] = 'status'
  set[#set + 1] = 'queued'
  end_run(job, outcome, error_json, set)
  make_ready(job.queue, job.id, job.rank, job.sequence or next_sequence(job.queue), job.crashes)
end
