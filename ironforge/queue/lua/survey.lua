-- survey.lua: which duties of maintenance have something to do. Counts as a look after leases.
--
-- Uses: reap_tick
-- KEYS[1] prefix
-- ARGV[1] lease_ms, ARGV[2] a gap between looks above which nobody is reaped for one lease (ms),
-- ARGV[3] completed jobs kept per queue, ARGV[4] one caller within so many ms is answered, others have nothing to do
--
-- Returns the words reap, promote and trim, those that apply. A caller that dies with the answer is followed by the next.

local meta = P .. 'meta'
local last = tonumber(redis.call('HGET', meta, 'survey'))
if last and now_ms >= last and now_ms - last < tonumber(ARGV[4]) then return {} end
redis.call('HSET', meta, 'survey', now_ms)

local function is_over(index) return redis.call('ZCOUNT', index, '-inf', now_ms) > 0 end

local words, promotes, trims = {}, false, false
if now_ms >= tick_reaper(tonumber(ARGV[1]), tonumber(ARGV[2])) and is_over(P .. 'workers') then words[1] = 'reap' end
local queues = redis.call('SMEMBERS', P .. 'queues')
for _, queue in ipairs(queues) do
  promotes = promotes or is_over(queue_key(queue, 'scheduled')) or is_over(queue_key(queue, 'retrying'))
  trims = trims or is_over(queue_key(queue, 'completed')) or is_over(queue_key(queue, 'cancelled'))
    or redis.call('ZCARD', queue_key(queue, 'completed')) > tonumber(ARGV[3])
end
if promotes then words[#words + 1] = 'promote' end
if trims then words[#words + 1] = 'trim' end
return words
