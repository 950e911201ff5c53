-- inspect_job.lua: where one job is, read at one moment, so that a live system is no false alarm; changes nothing.
--
-- KEYS[1] prefix
-- ARGV[1] job id, ARGV[2] a queue to look in too (where the id was found), '' for none
--
-- Returns {status or '', queue or '', index, …, flag, …}: the indexes that hold it are named `in:<queue>:<part>`;
-- flags are `claimed` (its worker's claims hold it), `registered` (its worker has a lease entry), `grouped` (its dead
-- group holds it), `crashed` (two crashes or more), `worker:<id>` and `group:<fingerprint>`.

local PARTS = { 'queued', 'suspects', 'scheduled', 'retrying', 'running', 'completed', 'dead', 'cancelled' }

local id = ARGV[1]
local job = redis.call('HMGET', job_key(id), 'status', 'queue', 'worker', 'fingerprint', 'crashes')
local reply = { job[1] or '', job[2] or '' }

local function look_in(queue)
  for _, part in ipairs(PARTS) do
    if redis.call('ZSCORE', queue_key(queue, part), id) then reply[#reply + 1] = 'in:' .. queue .. ':' .. part end
  end
end

if job[2] then look_in(job[2]) end
if ARGV[2] ~= '' and ARGV[2] ~= job[2] then look_in(ARGV[2]) end
if job[3] then
  reply[#reply + 1] = 'worker:' .. job[3]
  if redis.call('SISMEMBER', worker_key(job[3], 'claims'), id) == 1 then reply[#reply + 1] = 'claimed' end
  if redis.call('ZSCORE', P .. 'workers', job[3]) then reply[#reply + 1] = 'registered' end
end
if job[4] then
  reply[#reply + 1] = 'group:' .. job[4]
  if redis.call('ZSCORE', P .. 'dead:group:' .. job[4], id) then reply[#reply + 1] = 'grouped' end
end
if (tonumber(job[5]) or 0) >= 2 then reply[#reply + 1] = 'crashed' end
return reply
