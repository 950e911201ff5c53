-- _taken.lua: what a claim took whose reply was lost.

-- {id, fence, now_ms, fields, …} of the jobs that a worker holds by the claim of that token.
local function taken_under(claims, token)
  local jobs = {}
  for _, id in ipairs(redis.call('SMEMBERS', claims)) do
    local fence = redis.call('HGET', job_key(id), 'fence') or ''
    if string.sub(fence, -#token) == token then
      local fields = redis.call('HGETALL', job_key(id))
      for _, value in ipairs({ id, fence, now_ms, fields }) do jobs[#jobs + 1] = value end
    end
  end
  return jobs
end
