-- _stats.lua: counters and histograms, summed up per call and written once.
--
-- `stats` (hash, for ever): what /metrics reads. `stats:<slot>` (hash, one hour): ten seconds of the same per queue,
-- for rates and charts. `kinds` (set, at most 200): kinds with a label of their own; the rest counts as `other`.

local MAX_KINDS = 200
local totals, slot = {}, {}
local labels, histograms = {}, {}

local function count(field, by) totals[field] = (totals[field] or 0) + (by or 1) end
local function count_in_slot(field, by) slot[field] = (slot[field] or 0) + (by or 1) end

local function label(kind)
  if labels[kind] then return labels[kind] end
  local key, name = P .. 'kinds', kind
  if redis.call('SISMEMBER', key, kind) == 0 then
    if redis.call('SCARD', key) < MAX_KINDS then redis.call('SADD', key, kind) else name = 'other' end
  end
  labels[kind] = name
  return name
end

local function bucket(ms)
  for i = 1, #BUCKETS_MS do
    if ms <= BUCKETS_MS[i] then return i end
  end
  return #BUCKETS_MS + 1
end

-- Of one histogram: bucket -> observations, and their sum.
local function observe(name, ms)
  local histogram = histograms[name]
  if not histogram then
    histogram = { sum = 0 }
    histograms[name] = histogram
  end
  ms = math.max(0, ms)
  local at = bucket(ms)
  histogram[at] = (histogram[at] or 0) + 1
  histogram.sum = histogram.sum + ms
  return at
end

local function write_stats()
  for name, histogram in pairs(histograms) do
    local is_wait = string.match(name, '^wait|')
    for part, by in pairs(histogram) do
      count(name .. '|' .. part, by)
      if is_wait and part ~= 'sum' then count_in_slot('wait|' .. part, by) end -- there not told apart by kind
    end
  end
  for field, by in pairs(totals) do redis.call('HINCRBY', P .. 'stats', field, by) end
  if next(slot) then
    local key = P .. 'stats:' .. math.floor(now_ms / SLOT_MS)
    local fresh = false
    for field, by in pairs(slot) do fresh = redis.call('HINCRBY', key, field, by) == by or fresh end
    if fresh then redis.call('EXPIRE', key, SLOT_TTL_S) end
  end
end
