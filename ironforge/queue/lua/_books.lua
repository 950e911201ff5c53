-- _books.lua: a job as the books have it, and the place where it belongs; read as untrusted. Changes nothing.

local PLACES = { 'queued', 'suspects', 'scheduled', 'retrying', 'running', 'completed', 'dead', 'cancelled' }
-- The field that the score of a place repeats; the last two add how long the job is kept.
local TIMES = { scheduled = 'run_at', retrying = 'run_at', running = 'started_at', dead = 'finished_at',
  completed = 'finished_at', cancelled = 'finished_at' }
local NUMBERS = { 'run_at', 'started_at', 'finished_at', 'retention_ms', 'priority', 'crashes', 'lapses', 'generation',
  'retry_count', 'max_retries', 'attempt_count', 'created_at' }

-- Nothing where the key is of another type: that is a finding of its own.
local function ask(...)
  local found = redis.pcall(...)
  if type(found) == 'table' and found.err then return nil end
  return found
end

local function score_in(key, id) return tonumber(ask('ZSCORE', key, id)) end
local function holds(key, member) return ask('SISMEMBER', key, member) == 1 end

-- An error group is counted as long as it holds a job.
local function miscounts(count, size) return count == 0 or (count or 0) ~= size end

local function place_of(status, crashes)
  return status == 'queued' and crashes and crashes >= SUSPECT_AT and 'suspects' or status
end

-- Returns 'gone', 'damaged' (no hash, or one without status or queue), or 'job' and the job. A million are read at times:
-- so it is one constructor, which costs half of what naming field by field does.
local function booked(id)
  local key = job_key(id)
  local f = ask('HMGET', key, 'run_at', 'started_at', 'finished_at', 'retention_ms', 'priority', 'crashes', 'lapses',
    'generation', 'retry_count', 'max_retries', 'attempt_count', 'created_at', 'status', 'queue', 'kind', 'fence', 'worker',
    'fingerprint', 'cancel_requested')
  if not f or not f[13] or not f[14] then
    return redis.call('EXISTS', key) == 1 and 'damaged' or 'gone', { id = id }
  end
  local unreadable
  for i, name in ipairs(NUMBERS) do
    local number = tonumber(f[i])
    if f[i] and (not number or number % 1 ~= 0) then unreadable = name end
    f[i] = number
  end
  local status, crashes, rank = f[13], f[6] or 0, f[5] or 2
  if rank < 0 or rank > 3 then unreadable = 'priority' end
  return 'job', {
    id = id, key = key, status = status, queue = f[14], kind = f[15], fence = f[16], worker = f[17],
    fingerprint = f[18], cancel_requested = f[19], run_at = f[1], started_at = f[2], finished_at = f[3],
    created_at = f[12], crashes = crashes, lapses = f[7] or 0, generation = f[8] or 0, retry_count = f[9] or 0,
    max_retries = f[10] or 3, attempt_count = f[11] or 0, rank = rank, unreadable = unreadable,
    place = place_of(status, crashes),
    kept_ms = (status == 'completed' or status == 'cancelled') and (f[4] or COMPLETED_MS) or 0,
  }
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
      local top = ask('ZRANGE', queue_key(queue, part), '(' .. string.format('%.0f', (rank + 1) * BAND), '0', 'BYSCORE', 'REV',
        'LIMIT', 0, 1, 'WITHSCORES') or {}
      highest = math.max(highest, (top[2] or 0) % BAND)
    end
  end
  return highest
end
