-- enqueue.lua: nothing -> queued or scheduled, for a batch of jobs of one shard.
--
-- Uses: stats, ready
-- KEYS[1] prefix
-- ARGV[1] number of jobs, then for each job:
--   id, queue, kind, rank 0..3, when ('now' | 'in' | 'at'), ms (delay for 'in', Unix ms for 'at'),
--   number of further values, field, value, …   (only what differs from the default)
--
-- Returns {now_ms, word, due_ms, word, due_ms, …}: 'queued', 'scheduled', or 'exists' when the id is taken (then
-- nothing was changed); due_ms is 0 for a queued job.
--
-- Refused when Redis is out of memory (no allow-oom flag): then nothing of the batch was written.
-- A crash of the caller leaves whole jobs or none; the same ids may be sent again.

local reply = { now_ms }
local at = 2
for _ = 1, tonumber(ARGV[1]) do
  local id, queue, kind, rank, when, ms = unpack(ARGV, at, at + 5)
  local extra = tonumber(ARGV[at + 6])
  local first = at + 7
  at = first + extra
  local key = job_key(id)
  if redis.call('EXISTS', key) == 1 then
    reply[#reply + 1] = 'exists'
    reply[#reply + 1] = 0
  else
    local due = when == 'now' and 0 or tonumber(ms) + (when == 'in' and now_ms or 0)
    local status = due > now_ms and 'scheduled' or 'queued'
    redis.call('HSET', key, 'kind', kind, 'queue', queue, 'status', status, 'created_at', now_ms,
      unpack(ARGV, first, at - 1))
    if status == 'scheduled' then
      local index = queue_key(queue, 'scheduled')
      redis.call('HSET', key, 'run_at', due)
      redis.call('ZADD', index, due, id)
      -- Idle workers sleep until the earliest due time they know: tell them of an earlier one.
      if due <= now_ms + 5000 and redis.call('ZRANGE', index, 0, 0)[1] == id then wake(queue) end
      touch(queue)
    else
      make_ready(queue, id, tonumber(rank), next_sequence(queue), 0)
    end
    if not queue_state(queue).known then
      redis.call('SADD', P .. 'queues', queue)
      queue_state(queue).known = true
    end
    count('submitted|' .. label(kind) .. '|' .. rank)
    count_in_slot('submitted|' .. queue)
    reply[#reply + 1] = status
    reply[#reply + 1] = status == 'scheduled' and due or 0
  end
end
write_moves()
write_queues()
write_stats()
return reply
