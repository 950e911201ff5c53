-- _take_back.lua: the jobs of a worker that is gone go back, each charged with what is known.

local ENDS = { crashed = 'crashed', lapsed = 'lapsed', ended = 'released' }

local function take_back_job(job, cause, evidence)
  local outcome, set = ENDS[cause], {}
  job.taken_back = true
  if cause == 'crashed' then
    job.crashes = job.crashes + 1
    set = { 'crashes', job.crashes }
  elseif cause == 'lapsed' then
    job.lapses = job.lapses + 1
    set = { 'lapses', job.lapses }
  end
  if job.cancel_requested then
    to_cancelled(job, outcome, evidence, set)
  elseif job.crashes >= MAX_CRASHES or job.lapses > MAX_LAPSES then
    local fingerprint = string.sub(redis.sha1hex('worker_lost|' .. job.kind), 1, 12)
    to_dead(job, outcome, evidence, fingerprint, 'worker_lost', set)
  else
    to_queued(job, outcome, evidence, set)
  end
end

-- Returns how many jobs were handed back. The worker is forgotten; it can never renew again.
local function take_back(wid, cause, evidence)
  local handed = 0
  for _, id in ipairs(redis.call('SMEMBERS', worker_key(wid, 'claims'))) do
    local job = running_job(id)
    if job.status == 'running' and job.worker == wid then
      take_back_job(job, cause, evidence)
      handed = handed + 1
    end
  end
  redis.call('ZREM', P .. 'workers', wid)
  redis.call('DEL', worker_key(wid), worker_key(wid, 'claims'), worker_key(wid, 'orders'))
  count('workers_' .. cause)
  return handed
end
