-- pause.lua: a queue hands out nothing until it is resumed.
--
-- Uses: once
-- KEYS[1] prefix
-- ARGV[1] queue, ARGV[2] 'pause' or 'resume', ARGV[3] idempotency key or '', ARGV[4] request hash
--
-- Returns 'done' (also when it was so already), 'missing' for a queue nobody ever used, or 'key_conflict'.

local queue, key, hash = ARGV[1], ARGV[3], ARGV[4]
local before = answered(key, hash)
if before then return before end
if redis.call('SISMEMBER', P .. 'queues', queue) == 0 then
  if queue ~= 'default' then return 'missing' end
  redis.call('SADD', P .. 'queues', queue)
end

local settings = queue_key(queue, 'settings')
if ARGV[2] == 'pause' then
  redis.call('HSETNX', settings, 'paused', now_ms)
else
  redis.call('HDEL', settings, 'paused')
  if redis.call('ZCARD', queue_key(queue, 'queued')) + redis.call('ZCARD', queue_key(queue, 'suspects')) > 0 then
    wake(queue)
  end
end
touch(queue)
write_queues()
return remember(key, hash, 'done')
