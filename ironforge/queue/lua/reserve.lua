-- reserve.lua: an Idempotency-Key gets the job id it stands for, before the job is made.
--
-- KEYS[1] prefix
-- ARGV[1] key, ARGV[2] request hash, ARGV[3] a job id made beforehand
--
-- Returns {'new' | 'pending' | 'done' | 'conflict', job id}. 'pending': the record is there but the job may not be
-- (its submitter died between the two): enqueue again under the id given, which does nothing where it exists.

local KEY_TTL_MS = 86400000
local record = P .. 'idem:' .. ARGV[1]
local found = redis.call('GET', record)
if found then
  local word, hash, id = string.match(found, '^(%a+)|([^|]*)|(.*)$')
  return { hash == ARGV[2] and word or 'conflict', id }
end
redis.call('SET', record, 'pending|' .. ARGV[2] .. '|' .. ARGV[3], 'PX', KEY_TTL_MS)
return { 'new', ARGV[3] }
