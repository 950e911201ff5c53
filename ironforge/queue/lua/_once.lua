-- _once.lua: an operator's call that carries an Idempotency-Key has its effect once.
--
-- `idem:<key>` (string, 24 h) holds `done|<request hash>|<word>`, written by the same script as the effect.

local KEY_TTL_MS = 86400000

-- The word answered before, 'key_conflict' when the key belongs to another request, nil when it is new.
local function answered(key, request_hash)
  if key == '' then return nil end
  local found = redis.call('GET', P .. 'idem:' .. key)
  if not found then return nil end
  local hash, word = string.match(found, '^%a+|([^|]*)|(.*)$')
  return hash == request_hash and word or 'key_conflict'
end

local function remember(key, request_hash, word)
  if key ~= '' then
    redis.call('SET', P .. 'idem:' .. key, 'done|' .. request_hash .. '|' .. word, 'PX', KEY_TTL_MS)
  end
  return word
end
