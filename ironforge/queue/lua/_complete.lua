-- _complete.lua: what nearly every run ends in: a job that completed, nothing unusual about it. The same as
-- `to_completed` of _finish.lua in half of the steps; whatever is unusual is left to that.

local expiry = string.format('%.0f', now_ms + COMPLETED_MS)
local batches = {}

-- Jobs of one queue and kind: what is the same for all of them is made once.
local function batch_of(queue, kind)
  local of_queue = list_in(batches, queue)
  local batch = of_queue[kind]
  if not batch then
    batch = {
      left = list_in(removed, queue_key(queue, 'running')),
      came = list_in(added, queue_key(queue, 'completed')),
      duration = 'duration|' .. label(kind) .. '|completed',
      count = 0,
    }
    of_queue[kind] = batch
    touch(queue)
  end
  return batch
end

-- false when the job does not run under this fence, was asked to cancel, ran before, or keeps itself for a time of
-- its own, or its hash is damaged: then nothing was changed.
local function complete(id, fence, result)
  local key = job_key(id)
  local job = redis.call('HMGET', key, 'status', 'fence', 'queue', 'kind', 'worker', 'started_at', 'attempt_count',
    'cancel_requested', 'crashes', 'retention_ms')
  local started_at, worker = job[6], job[5]
  if job[1] ~= 'running' or job[2] ~= fence or not worker or not started_at then return false end
  if job[7] or job[8] or job[9] or job[10] then return false end
  local attempt = started_at .. ' ' .. now_text .. ' ' .. worker .. ' completed'
  if result == '' then
    redis.call('HSET', key, 'status', 'completed', 'finished_at', now_text, 'attempt_count', '1', 'attempt:1', attempt,
      'settled', fence)
  else
    redis.call('HSET', key, 'status', 'completed', 'finished_at', now_text, 'attempt_count', '1', 'attempt:1', attempt,
      'settled', fence, 'result', result)
  end
  redis.call('HDEL', key, 'worker')
  drop_claim(worker, id)
  local batch = batch_of(job[3], job[4])
  local left, came = batch.left, batch.came
  local n = #came
  left[#left + 1], came[n + 1], came[n + 2] = id, expiry, id
  batch.count = batch.count + 1
  observe(batch.duration, now_ms - started_at)
  return true
end

local function count_completed()
  for queue, kinds in pairs(batches) do
    for kind, batch in pairs(kinds) do
      count('completed|' .. label(kind), batch.count)
      count_in_slot('completed|' .. queue, batch.count)
    end
  end
end
