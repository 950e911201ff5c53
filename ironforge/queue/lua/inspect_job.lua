-- inspect_job.lua: where one job is, read at one moment, so that a live system is no false alarm; changes nothing.
--
-- KEYS[1] prefix
-- ARGV[1] job id; where the id was found, each '' for nowhere: ARGV[2] a queue whose indexes to look in too,
-- ARGV[3] a worker whose claims to look in, ARGV[4] an error group to look in
--
-- Returns {status or '', queue or '', fact, …}. Facts: `in:<queue>:<part>` for each index that holds it; `damaged` (its
-- key is no hash, or a hash without a status); `known` (its queue is among the queues); `worker:<id>`, whose claims
-- hold it (`claimed`) and who has a lease (`registered`); `group:<fingerprint>`, which holds it (`grouped`) and is among
-- the groups (`listed`); `crashed` (two crashes or more); `held` by ARGV[3], who has a lease (`holder`); `member` of ARGV[4].

local PARTS = { 'queued', 'suspects', 'scheduled', 'retrying', 'running', 'completed', 'dead', 'cancelled' }

local id, found_in, holder, group = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local job = redis.pcall('HMGET', job_key(id), 'status', 'queue', 'worker', 'fingerprint', 'crashes')
if job.err then job = {} end
local reply = { job[1] or '', job[2] or '' }

local function fact(holds, words)
  if holds and holds ~= 0 then reply[#reply + 1] = words end
end

local function look_in(queue)
  for _, part in ipairs(PARTS) do
    fact(redis.call('ZSCORE', queue_key(queue, part), id), 'in:' .. queue .. ':' .. part)
  end
end

if job[2] then
  look_in(job[2])
  fact(redis.call('SISMEMBER', P .. 'queues', job[2]), 'known')
end
if found_in ~= '' and found_in ~= job[2] then look_in(found_in) end
if not job[1] then fact(redis.call('EXISTS', job_key(id)), 'damaged') end
if job[3] then
  fact(true, 'worker:' .. job[3])
  fact(redis.call('SISMEMBER', worker_key(job[3], 'claims'), id), 'claimed')
  fact(redis.call('ZSCORE', P .. 'workers', job[3]), 'registered')
end
if job[4] then
  fact(true, 'group:' .. job[4])
  fact(redis.call('ZSCORE', P .. 'dead:group:' .. job[4], id), 'grouped')
  fact(redis.call('ZSCORE', P .. 'dead:groups', job[4]), 'listed')
end
fact((tonumber(job[5]) or 0) >= 2, 'crashed')
if holder ~= '' then
  fact(redis.call('SISMEMBER', worker_key(holder, 'claims'), id), 'held')
  fact(redis.call('ZSCORE', P .. 'workers', holder), 'holder')
end
if group ~= '' then fact(redis.call('ZSCORE', P .. 'dead:group:' .. group, id), 'member') end
return reply
