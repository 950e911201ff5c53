-- read_page.lua: for each index, the members that follow a position; changes nothing.
--
-- KEYS[1] prefix
-- ARGV[1] 'up' or 'down' (by score, then id), ARGV[2] score and ARGV[3] id of the last member seen ('' to begin),
-- ARGV[4] at most so many, ARGV[5…] indexes, named without the prefix
--
-- Returns for each index a flat list id, score, ….
-- The position is found by bisection over ranks: a page costs the same whatever the index's size, and no member is
-- seen twice or passed over when the one last seen is gone.

local up, score, id, limit = ARGV[1] == 'up', tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])

-- The rank of the first member after (score, id) in rising order, or the number of members before it.
local function first_rank(key)
  local low, high = 0, redis.call('ZCARD', key)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local member = redis.call('ZRANGE', key, middle, middle, 'WITHSCORES')
    local at = tonumber(member[2])
    local before = at < score or (at == score and member[1] < id)
    if up and at == score and member[1] == id then before = true end
    if before then low = middle + 1 else high = middle end
  end
  return low
end

local reply = {}
for i = 5, #ARGV do
  local key = P .. ARGV[i]
  if up then
    local from = score and first_rank(key) or 0
    reply[#reply + 1] = redis.call('ZRANGE', key, from, from + limit - 1, 'WITHSCORES')
  else
    local last = (score and first_rank(key) or redis.call('ZCARD', key)) - 1
    local found = {}
    if last >= 0 then
      local rising = redis.call('ZRANGE', key, math.max(0, last - limit + 1), last, 'WITHSCORES')
      for at = #rising - 1, 1, -2 do
        found[#found + 1] = rising[at]
        found[#found + 1] = rising[at + 1]
      end
    end
    reply[#reply + 1] = found
  end
end
return reply
