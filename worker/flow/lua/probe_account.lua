-- What a probe of a parked account saw. After a good one the fleet's calls are tried again for a while; when none is
-- refused in that time and the next probe is good too, the account has gone on, and says so once.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 '1' when the usage summary was read and forbids nothing; 3 reason, of a bad one that knows;
--       4 how long calls are tried, ms; 5 the event (CloudEvent JSON) of going on; 6 where messages go
--       (JSON, see emit.lua)
-- RETURNS: 'none' when it is not parked, 'parked', 'trial' or 'resumed'
-- include: clock
-- include: place
-- include: emit
local root, now = KEYS[1], clock(ARGV[1])
local parking = root .. 'parking'
local known = redis.call('HMGET', parking, 'state', 'pause_ms', 'next_ms')
if not known[1] then return 'none' end
if ARGV[2] ~= '1' then
  local pause = tonumber(known[2])
  redis.call('HSET', parking, 'state', 'parked', 'next_ms', now + pause)
  if ARGV[3] ~= '' then redis.call('HSET', parking, 'reason', ARGV[3]) end
  redis.call('HSET', root .. 'pauses', 'account', now + 2 * pause)
  return 'parked'
end
if known[1] == 'parked' then
  redis.call('HSET', parking, 'state', 'trial', 'next_ms', now + ARGV[4])
  redis.call('HDEL', root .. 'pauses', 'account')
  wake(root)
  return 'trial'
end
if now < tonumber(known[3]) then return 'trial' end
redis.call('DEL', parking)
emit(root, cjson.decode(ARGV[6]), 'account', ARGV[5], now)
return 'resumed'
