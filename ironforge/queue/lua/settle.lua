-- settle.lua: running -> completed | retrying | dead | cancelled | queued, for a batch of jobs of one worker.
--
-- Uses: stats, ready, finish, complete
-- KEYS[1] prefix
-- ARGV[1] number of jobs that completed, then for each: id, fence, result JSON;
-- then for each other job: id, fence, outcome, error JSON, delay_ms, fingerprint, reason
--   outcome: retry | dead | cancelled | released
--   released with delay_ms 0 goes back to its place in the queue; with a delay it waits in retrying; both uncharged
--
-- Returns a word for each job: 'ok'; 'already' when this very fence settled it before; 'refused' when the job is gone
-- or runs under another fence (then nothing of it changed).
-- A late settle under a fence that is still current counts, also after the lease ran out.

local function failed(job, error_json, delay_ms, fingerprint, wants_retry, reason)
  if job.cancel_requested then
    to_cancelled(job, 'cancelled', error_json, {})
  elseif wants_retry and job.retry_count < job.max_retries then
    to_retrying(job, 'failed', error_json, delay_ms, true)
  else
    to_dead(job, 'failed', error_json, fingerprint, reason, {})
  end
end

local function released(job, error_json, delay_ms)
  if job.cancel_requested then
    to_cancelled(job, 'cancelled', error_json, {})
  elseif delay_ms > 0 then
    to_retrying(job, 'released', error_json, delay_ms, false)
  else
    to_queued(job, 'released', error_json, {})
  end
end

local words = {}

-- The job, when it runs under this fence; else its word is set.
local function fenced(id, fence)
  local job = running_job(id)
  if job.status == 'running' and job.fence == fence then
    words[#words + 1] = 'ok'
    return job
  end
  words[#words + 1] = job.settled == fence and 'already' or 'refused'
  if words[#words] == 'refused' then count('refused') end
end

local first = 2 + 3 * tonumber(ARGV[1])
for at = 2, first - 1, 3 do
  local id, fence, result = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if complete(id, fence, result) then
    words[#words + 1] = 'ok'
  else
    local job = fenced(id, fence)
    if job then to_completed(job, result) end
  end
end
for at = first, #ARGV, 7 do
  local id, fence, outcome, error_json, delay_ms, fingerprint, reason = unpack(ARGV, at, at + 6)
  local job = fenced(id, fence)
  if job and outcome == 'cancelled' then
    to_cancelled(job, 'cancelled', error_json, {})
  elseif job and outcome == 'released' then
    released(job, error_json, tonumber(delay_ms))
  elseif job then
    failed(job, error_json, tonumber(delay_ms), fingerprint, outcome == 'retry', reason)
  end
end
count_completed()
write_moves()
write_queues()
write_stats()
return words
