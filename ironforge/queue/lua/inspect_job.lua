-- inspect_job.lua: what is wrong with some jobs, each judged at one moment; changes nothing.
--
-- Uses: stats, ready, finish, books, judge
-- KEYS[1] prefix
-- ARGV[1] where the ids were found: 'hash', 'index', 'claims' or 'group'; ARGV[2] of which queue, worker or error group,
-- ARGV[3] in which index of the queue, ARGV[4…] job ids
--
-- Returns {id, rule, status, queue, words, …} for each rule that is broken; nothing for a job that is well, and for one
-- that is no longer where it was found. The rules are in rules.py.
-- A hash is judged against all that it names, an index entry only as far as its job does not name this place: the two
-- together show whether each job is in exactly one place.

local found, name, part = ARGV[1], ARGV[2], ARGV[3]
local reply = {}

local function sayer(id, job)
  return function(rule, words)
    for _, value in ipairs({ id, rule, job.status or '', job.queue or '', words }) do reply[#reply + 1] = value end
  end
end

local function inspect_hash(id)
  local word, job = booked(id)
  if word == 'damaged' then sayer(id, job)('damaged', '') end
  if word == 'job' then judge(job, sayer(id, job)) end
end

local function inspect_entry(id)
  local named = ask('HMGET', job_key(id), 'status', 'queue', 'crashes')
  if named and named[2] == name and place_of(named[1], tonumber(named[3]) or 0) == part then return end
  if not score_in(queue_key(name, part), id) then return end
  local word, job = booked(id)
  if word == 'gone' then return sayer(id, job)('ghost', name .. ':' .. part) end
  if word == 'damaged' or (job.queue == name and job.place == part) then return end
  local twice = score_in(queue_key(job.queue, job.place), id)
  sayer(id, job)(twice and 'several_places' or 'wrong_place', name .. ':' .. part)
end

local function inspect_claim(id)
  if not holds(worker_key(name, 'claims'), id) then return end
  local _, job = booked(id)
  if job.status ~= 'running' or job.worker ~= name then sayer(id, job)('claim', name) end
end

local function inspect_member(id)
  if not score_in(P .. 'dead:group:' .. name, id) then return end
  local word, job = booked(id)
  if word == 'gone' then return sayer(id, job)('ghost', 'error group ' .. name) end
  if word == 'job' and (job.status ~= 'dead' or job.fingerprint ~= name) then sayer(id, job)('other_group', name) end
end

local inspect = ({ hash = inspect_hash, index = inspect_entry, claims = inspect_claim, group = inspect_member })[found]
for i = 4, #ARGV do inspect(ARGV[i]) end
return reply
