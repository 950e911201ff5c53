-- lock.lua: a distributed lock for handlers: one holder per name, for as long as it renews.
--
-- KEYS[1] prefix
-- ARGV[1] 'acquire' | 'renew' | 'release', ARGV[2] name, ARGV[3] token of the holder, ARGV[4] ttl_ms
--
-- Returns 1, or 0 when somebody else holds it (or nobody does, for renew and release).
-- A holder that dies frees it when its TTL ends.

local key = P .. 'lock:' .. ARGV[2]
local holder = redis.call('GET', key)
if ARGV[1] == 'acquire' then
  if holder and holder ~= ARGV[3] then return 0 end
  redis.call('SET', key, ARGV[3], 'PX', ARGV[4])
  return 1
end
if holder ~= ARGV[3] then return 0 end
if ARGV[1] == 'renew' then
  redis.call('PEXPIRE', key, ARGV[4])
else
  redis.call('DEL', key)
end
return 1
