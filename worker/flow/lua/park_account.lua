-- The API refused the account itself (revoked key, ended entitlement, empty allowance): nothing more is sent for it until
-- a probe finds it mended. Said once, however many calls were refused at the time.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 reason; 3 until the first probe, ms; 4 the longest time between probes, ms;
--       5 the event (CloudEvent JSON), for the first time; 6 where messages go (JSON, see emit.lua)
-- RETURNS: 'parked' the first time, else 'still'
-- include: clock
-- include: emit
local root, now = KEYS[1], clock(ARGV[1])
local parking = root .. 'parking'
local known = redis.call('HMGET', parking, 'state', 'pause_ms')
local pause = tonumber(known[2] or ARGV[3])
-- Calls that were tried again after a good probe were refused too: the next try is later.
if known[1] == 'trial' then pause = math.min(tonumber(ARGV[4]), pause * 2) end
redis.call('HSET', parking, 'state', 'parked', 'reason', ARGV[2], 'pause_ms', pause, 'next_ms', now + pause)
-- Longer than until the probe, so that nothing else is sent before it; not for ever, in case that nobody probes.
redis.call('HSET', root .. 'pauses', 'account', now + 2 * pause)
redis.call('HINCRBY', root .. 'totals', 'refused:account', 1)
if known[1] then return 'still' end
redis.call('HSET', parking, 'since_ms', now)
emit(root, cjson.decode(ARGV[6]), 'account', ARGV[5], now)
return 'parked'
