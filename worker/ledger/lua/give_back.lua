-- Gives back the leases of steps that were not begun: by a worker that ends, or that does not know what it was sent.
-- Costs the photo neither an attempt nor a lease's time. A lease that was opened meanwhile is left alone.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 delay, ms; then two for each photo: key, token
-- RETURNS: how many were given back
-- include: clock
-- include: place
-- include: version
-- include: back
local root, now, given = KEYS[1], clock(ARGV[1]), 0
for i = 3, #ARGV, 2 do
  local key, token = ARGV[i], ARGV[i + 1]
  local known = redis.call('HMGET', root .. 'p:' .. key, 'stage', 'token', 'opened', 'v')
  local step = STEP_OF[known[1]]
  -- What a newer release calls its stages is not known here: its own leader takes such a lease back.
  if token ~= '' and known[2] == token and known[3] ~= token and step and not is_newer(known[4]) then
    hand_back(root, key, step, now + ARGV[2])
    given = given + 1
  end
end
if given > 0 then wake(root) end
return given
