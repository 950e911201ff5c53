-- _reap_tick.lua: somebody looks after leases. After an outage (no look for a while, or the clock ran back) every
-- worker first gets one whole lease to renew.

-- Returns from when on workers may be reaped (ms).
local function tick_reaper(lease_ms, outage_ms)
  local meta = P .. 'meta'
  local found = redis.call('HMGET', meta, 'reap_tick', 'reap_after')
  local last, after = tonumber(found[1]), tonumber(found[2])
  if not (last and after) or now_ms - last > outage_ms or now_ms < last then after = now_ms + lease_ms end
  if last and now_ms < last then -- a lease given before the clock ran back would last as long as it ran back
    local too_long = redis.call('ZRANGE', P .. 'workers', '(' .. after, '+inf', 'BYSCORE')
    for _, wid in ipairs(too_long) do redis.call('ZADD', P .. 'workers', after, wid) end
  end
  redis.call('HSET', meta, 'reap_tick', now_ms, 'reap_after', after)
  return after
end
