-- _groups.lua: a job that leaves the dead leaves its error group too.

local function leave_group(id, fingerprint)
  if not fingerprint then return end
  if redis.call('ZREM', P .. 'dead:group:' .. fingerprint, id) == 0 then return end
  if tonumber(redis.call('ZINCRBY', P .. 'dead:groups', -1, fingerprint)) <= 0 then
    redis.call('ZREM', P .. 'dead:groups', fingerprint)
  end
end
