-- settle.lua: running -> completed | retrying | dead | cancelled | queued, for a batch of jobs of one worker.
--
-- Uses: stats, ready, finish
-- KEYS[1] prefix
-- ARGV[1] number of jobs, then for each: id, fence, outcome, result JSON, error JSON, delay_ms, fingerprint, reason
--   outcome: completed | retry | dead | cancelled | released
--   released with delay_ms 0 goes back to its place in the queue; with a delay it waits in retrying; both uncharged
--
-- Returns a word for each job: 'ok'; 'already' when this very fence settled it before; 'refused' when the job is gone
-- or runs under another fence (then nothing of it changed).
-- A late settle under a fence that is still current counts, also after the lease ran out.

local function failed(job, error_json, delay_ms, fingerprint, wants_retry, reason)
  if job.cancel_requested then
    to_cancelled(job, 'cancelled', error_json)
  elseif wants_retry and job.retry_count < job.max_retries then
    to_retrying(job, 'failed', error_json, delay_ms, true)
  else
    to_dead(job, 'failed', error_json, fingerprint, reason, {})
  end
end

local function released(job, error_json, delay_ms)
  if job.cancel_requested then
    to_cancelled(job, 'cancelled', error_json)
  elseif delay_ms > 0 then
    to_retrying(job, 'released', error_json, delay_ms, false)
  else
    to_queued(job, 'released', error_json, {})
  end
end

local function settle(id, fence, outcome, result, error_json, delay_ms, fingerprint, reason)
  local job = running_job(id)
  if job.status ~= 'running' or job.fence ~= fence then
    return job.settled == fence and 'already' or 'refused'
  end
  delay_ms = tonumber(delay_ms)
  if outcome == 'completed' then
    to_completed(job, result)
  elseif outcome == 'cancelled' then
    to_cancelled(job, 'cancelled', error_json)
  elseif outcome == 'released' then
    released(job, error_json, delay_ms)
  else
    failed(job, error_json, delay_ms, fingerprint, outcome == 'retry', reason)
  end
  return 'ok'
end

local words = {}
for i = 0, tonumber(ARGV[1]) - 1 do
  local at = 2 + i * 8
  words[#words + 1] = settle(unpack(ARGV, at, at + 7))
  if words[#words] == 'refused' then count('refused') end
end
write_moves()
write_queues()
write_stats()
return words
