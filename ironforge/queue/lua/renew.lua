-- renew.lua: leases are extended by whoever keeps them, whatever the worker's own loop does.
--
-- KEYS[1] prefix
-- ARGV[1] lease_ms, ARGV[2…] worker ids
--
-- Returns a word for each: 'ok', or 'gone' when it was reaped; a reaped registration is never made again.

local words = {}
for i = 2, #ARGV do
  if redis.call('ZSCORE', P .. 'workers', ARGV[i]) then
    redis.call('ZADD', P .. 'workers', now_ms + tonumber(ARGV[1]), ARGV[i])
    words[#words + 1] = 'ok'
  else
    words[#words + 1] = 'gone'
  end
end
return words
