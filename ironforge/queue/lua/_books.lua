-- _books.lua: a job as the books have it, and the place where it belongs; read as untrusted. Changes nothing.

local PLACES = { 'queued', 'suspects', 'scheduled', 'retrying', 'running', 'completed', 'dead', 'cancelled' }
-- The field that the score of a place repeats; the last two add how long the job is kept.
local TIMES = { scheduled = 'run_at', retrying = 'run_at', running = 'started_at', dead = 'finished_at',
  completed = 'finished_at', cancelled = 'finished_at' }
local NUMBERS = { 'run_at', 'started_at', 'finished_at', 'retention_ms', 'priority', 'crashes', 'lapses', 'generation',
  'retry_count', 'max_retries', 'attempt_count', 'created_at' }
local WORDS = { 'status', 'queue', 'kind', 'fence', 'worker', 'fingerprint', 'cancel_requested' }
local BOOKED = {}
for _, name in ipairs(NUMBERS) do BOOKED[#BOOKED + 1] = name end
for _, name in ipairs(WORDS) do BOOKED[#BOOKED + 1] = name end

-- Nothing where the key is of another type: that is a finding of its own.
local function ask(...)
  local found = redis.pcall(...)
  if type(found) == 'table' and found.err then return nil end
  return found or nil
end

local function score_in(key, id) return tonumber(ask('ZSCORE', key, id)) end
local function holds(key, member) return ask('SISMEMBER', key, member) == 1 end

local function place_of(status, crashes) return status == 'queued' and crashes >= SUSPECT_AT and 'suspects' or status end

-- Returns 'gone', 'damaged' (no hash, or one without status or queue), or 'job' and the job.
local function booked(id)
  local found = ask('HMGET', job_key(id), unpack(BOOKED))
  local job = { id = id, key = job_key(id) }
  for i = 1, found and #BOOKED or 0 do job[BOOKED[i]] = found[i] or nil end
  if not job.status or not job.queue then
    return redis.call('EXISTS', job_key(id)) == 1 and 'damaged' or 'gone', job
  end
  for _, name in ipairs(NUMBERS) do
    local number = tonumber(job[name])
    if job[name] and (not number or number % 1 ~= 0) then job.unreadable = name end
    job[name] = number
  end
  for _, name in ipairs({ 'crashes', 'lapses', 'generation', 'retry_count', 'attempt_count' }) do job[name] = job[name] or 0 end
  job.rank, job.max_retries = job.priority or 2, job.max_retries or 3
  if job.rank < 0 or job.rank > 3 then job.unreadable = 'priority' end
  job.place = place_of(job.status, job.crashes)
  job.kept_ms = (job.status == 'completed' or job.status == 'cancelled') and (job.retention_ms or COMPLETED_MS) or 0
  return 'job', job
end

local function score_is_right(job, score)
  if job.status == 'queued' then
    return math.floor(score / BAND) == job.rank and score % BAND > 0 and score % 1 == 0
  end
  local time = job[TIMES[job.status]]
  return time and score == time + job.kept_ms
end

-- The last sequence that a job which is ready has.
local function highest_sequence(queue)
  local highest = 0
  for _, part in ipairs({ 'queued', 'suspects' }) do
    for rank = 0, 3 do
      local top = ask('ZRANGE', queue_key(queue, part), '(' .. string.format('%.0f', (rank + 1) * BAND),
        string.format('%.0f', rank * BAND), 'BYSCORE', 'REV', 'LIMIT', 0, 1, 'WITHSCORES') or {}
      if top[2] then highest = math.max(highest, top[2] % BAND) end
    end
  end
  return highest
end
