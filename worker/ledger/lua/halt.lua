-- Pauses the account or a partner: nothing that is before its create is dispatched or admitted from now on.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 'account' or 'partner:<name>'; 3 note (JSON: note, by)
-- RETURNS: 'paused' | 'already' (its reason is renewed)
-- include: clock
local root, now = KEYS[1], clock(ARGV[1])
local before = redis.call('HGET', root .. 'paused', ARGV[2])
local note = cjson.decode(ARGV[3])
note.since_ms = before and cjson.decode(before).since_ms or now
redis.call('HSET', root .. 'paused', ARGV[2], cjson.encode(note))
-- From now on what a paused partner has ready is no part of the look-ahead (see worker/lua/turns.lua).
local partner = ARGV[2]:match('^partner:(.*)$')
for priority = 0, partner and 9 or -1 do
  redis.call('ZADD', root .. 'resting:generation', now, priority .. ':' .. partner)
end
return before and 'already' or 'paused'
