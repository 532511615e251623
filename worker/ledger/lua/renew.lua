-- Prolongs the leases of what a worker is doing.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 lease, ms; then two for each photo: key, token
-- RETURNS: the keys whose lease is somebody else's by now
-- include: clock
local root, now, lost = KEYS[1], clock(ARGV[1]), {}
for i = 3, #ARGV, 2 do
  if redis.call('HGET', root .. 'p:' .. ARGV[i], 'token') == ARGV[i + 1] then
    redis.call('ZADD', root .. 'leases', 'XX', now + ARGV[2], ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
