-- _ready.lua: the ways a job becomes ready: queued, or suspect when it has seen two crashes.

local SUSPECT_AT = 2

local function make_ready(queue, id, rank, sequence, crashes)
  local part = crashes >= SUSPECT_AT and 'suspects' or 'queued'
  add(queue_key(queue, part), rank * BAND + sequence, id)
  wake(queue)
  touch(queue)
end

-- scheduled, retrying -> queued for up to `limit` jobs of each that are due. Returns how many, and when the next is
-- due (ms, nil for never). An id without a hash, or of another status, is a stray: it is dropped from the index.
local function promote(queue, limit)
  local moved, next_due = 0, nil
  for _, status in ipairs({ 'scheduled', 'retrying' }) do
    local index = queue_key(queue, status)
    local head = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
    if head[2] and tonumber(head[2]) <= now_ms then
      local due = redis.call('ZRANGE', index, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
      for i = 1, #due, 2 do
        local id = due[i]
        local job = redis.call('HMGET', job_key(id), 'status', 'priority', 'crashes')
        remove(index, id)
        if job[1] == status then
          redis.call('HSET', job_key(id), 'status', 'queued')
          local sequence = next_sequence(queue, tonumber(due[i + 1]) * 1000)
          make_ready(queue, id, tonumber(job[2]) or 2, sequence, tonumber(job[3]) or 0)
        end
        moved = moved + 1
      end
      write_moves()
      head = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
    end
    local due_ms = tonumber(head[2])
    if due_ms and (not next_due or due_ms < next_due) then next_due = due_ms end
  end
  return moved, next_due
end
