-- Puts in force what the API reports of its limits, for the whole fleet at once; what it no longer reports falls back to
-- the settings. A limit that the settings name is not given here: it wins.
-- KEYS: 1 the account's root
-- ARGV: for each limit: route or 'in_flight', count, window with guard (ms; 0 for in_flight)
-- RETURNS: the names of the limits that changed
-- include: place
local root, changed, told = KEYS[1], {}, {}
for i = 1, #ARGV, 3 do
  local limit = cjson.encode({tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), 'reported'})
  told[ARGV[i]] = true
  if redis.call('HGET', root .. 'limits', ARGV[i]) ~= limit then
    redis.call('HSET', root .. 'limits', ARGV[i], limit)
    changed[#changed + 1] = ARGV[i]
  end
end
local known = redis.call('HGETALL', root .. 'limits')
for i = 1, #known, 2 do
  if not told[known[i]] and cjson.decode(known[i + 1])[3] == 'reported' then
    redis.call('HDEL', root .. 'limits', known[i])
    changed[#changed + 1] = known[i]
  end
end
if #changed > 0 then wake(root) end
return changed
