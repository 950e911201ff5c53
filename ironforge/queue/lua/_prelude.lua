-- _prelude.lua: stands before every script. Key names, the clock, and writes that are gathered and done once per call.
--
-- KEYS[1] of every script is the shard's prefix, `<namespace>:{<tag>}:`. It is never written itself; it routes the
-- call to the right Cluster slot, and every key below is built from it, so that all of them lie in that slot.

local P = KEYS[1]
local EPOCH_US = 1577836800000000 -- 2020-01-01; sequences are microseconds since then, below 2^51 until 2091
local BAND = 2251799813685248 -- 2^51: a queued job's score is rank * BAND + sequence
local BUCKETS_MS = { 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 1800000 }
local SLOT_MS = 10000 -- width of a `stats:<slot>` hash
local SLOT_TTL_S = 3600

local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local now_ms = math.floor(now_us / 1000)

local function job_key(id) return P .. 'job:' .. id end
local function queue_key(queue, part) return P .. 'q:' .. queue .. ':' .. part end
local function worker_key(wid, part) return P .. 'worker:' .. wid .. (part and ':' .. part or '') end

-- What a script knows of a queue: read on first use, written by `write_queues`.
local queue_states = {}

local function queue_state(queue)
  local state = queue_states[queue]
  if not state then
    local found = redis.call('HMGET', queue_key(queue, 'settings'), 'sequence', 'paused', 'suspect_worker')
    state = { sequence = tonumber(found[1]) or 0, paused = found[2], suspect_worker = found[3] }
    queue_states[queue] = state
  end
  return state
end

-- First in, first out also within one batch, and never backwards when the clock is.
local function next_sequence(queue, at_us)
  local state = queue_state(queue)
  state.sequence = math.max(state.sequence + 1, (at_us or now_us) - EPOCH_US)
  state.advanced = true
  return state.sequence
end

-- An idle worker could take something of this queue now, or wants to know a new due time.
local function wake(queue) queue_state(queue).wake = true end

-- The lists of this queue changed: consoles that show one look again.
local function touch(queue) queue_state(queue).changed = true end

local function write_queues()
  for queue, state in pairs(queue_states) do
    local settings = queue_key(queue, 'settings')
    if state.advanced then redis.call('HSET', settings, 'sequence', state.sequence) end
    if state.changed then redis.call('HINCRBY', settings, 'changes', 1) end
    if state.wake and not state.paused then redis.call('ZADD', queue_key(queue, 'wake'), 1, 'ready') end
  end
end

-- Moves between indexes: one ZREM and one ZADD per index, whatever the batch.
local added, removed, dropped = {}, {}, {}

local function list_in(lists, key)
  local list = lists[key]
  if not list then
    list = {}
    lists[key] = list
  end
  return list
end

local function add(key, score, id)
  local list = list_in(added, key)
  local n = #list
  list[n + 1], list[n + 2] = score, id
end

local function remove(key, id)
  local list = list_in(removed, key)
  list[#list + 1] = id
end

-- A claim that ends.
local function drop_claim(wid, id)
  local list = list_in(dropped, wid)
  list[#list + 1] = id
end

local function write_moves()
  for wid, ids in pairs(dropped) do redis.call('SREM', worker_key(wid, 'claims'), unpack(ids)) end
  for key, ids in pairs(removed) do redis.call('ZREM', key, unpack(ids)) end
  for key, pairs_ in pairs(added) do redis.call('ZADD', key, unpack(pairs_)) end
  added, removed, dropped = {}, {}, {}
end
