-- Notes that a listing is paused: photos that are enqueued to it from now on are parked. Its photos so far: `pause`.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 listing key; 3 note (JSON: why, note, by, listing_id)
-- RETURNS: 'paused' | 'already' (its reason is renewed)
-- include: clock
-- include: paused
local root, now = KEYS[1], clock(ARGV[1])
local before = listing_pause(root, ARGV[2])
local note = cjson.decode(ARGV[3])
note.since_ms = before and cjson.decode(before).since_ms or now
redis.call('HSET', root .. 'paused_listings', ARGV[2], cjson.encode(note))
return before and 'already' or 'paused'
