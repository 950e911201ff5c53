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

local about -- the job that is spoken of

local function say(rule, words)
  for _, value in ipairs({ about.id, rule, about.status or '', about.queue or '', words }) do reply[#reply + 1] = value end
end

local function inspect_hash(id)
  local word, job = booked(id)
  about = job
  if word == 'damaged' then say('damaged', '') end
  if word == 'job' then judge(job, say) end
end

local function inspect_entry(id)
  local named = ask('HMGET', job_key(id), 'status', 'queue', 'crashes')
  if named and named[2] == name and place_of(named[1], tonumber(named[3])) == part then return end
  if not score_in(queue_key(name, part), id) then return end
  local word, job = booked(id)
  about = job
  if word == 'gone' then return say('ghost', name .. ':' .. part) end
  if word == 'damaged' then return end
  local twice = score_in(queue_key(job.queue, job.place), id)
  say(twice and 'several_places' or 'wrong_place', name .. ':' .. part)
end

local function inspect_claim(id)
  if not holds(worker_key(name, 'claims'), id) then return end
  local _, job = booked(id)
  about = job
  if job.status ~= 'running' or job.worker ~= name then say('claim', name) end
end

local function inspect_member(id)
  if not score_in(P .. 'dead:group:' .. name, id) then return end
  local word, job = booked(id)
  about = job
  if word == 'gone' then return say('ghost', 'error group ' .. name) end
  if word == 'job' and (job.status ~= 'dead' or job.fingerprint ~= name) then say('other_group', name) end
end

local inspect = ({ hash = inspect_hash, index = inspect_entry, claims = inspect_claim, group = inspect_member })[found]
for i = 4, #ARGV do inspect(ARGV[i]) end
return reply
