-- _served.lua: passing over the queues of a worker that have nothing.

local MOST = 2000 -- queues in one command: Lua can unpack 8,000 values

-- Whether one of the queues ARGV[from…to] has a key of one of these parts.
local function any_has(parts, from, to)
  local keys, n = {}, 0
  for i = from, to do
    local key = queue_key(ARGV[i], '')
    for k = 1, #parts do keys[n + k] = key .. parts[k] end
    n = n + #parts
  end
  return redis.call('EXISTS', unpack(keys)) > 0
end

-- Calls visit(queue) for those of ARGV[from…to] that have such a key, in their order. One command asks for all of
-- them, and for the halves only where there is one.
local function visit_having(parts, from, to, visit)
  if to - from < MOST and not any_has(parts, from, to) then return end
  if from == to then return visit(ARGV[from]) end
  local middle = math.floor((from + to) / 2)
  visit_having(parts, from, middle, visit)
  visit_having(parts, middle + 1, to, visit)
end

-- The same until has_enough(). The first queue alone, for it often has enough, then ever more at once.
local function visit_until(has_enough, parts, from, to, visit)
  local width = 1
  while from <= to and not has_enough() do
    visit_having(parts, from, math.min(from + width - 1, to), visit)
    from, width = from + width, width * 2
  end
end
