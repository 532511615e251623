-- A worker says that it lives and how many photos it can work on at once; 0 hands takes it off the list.
-- The last one out takes back what was sent and not begun, so that the next to come need not wait for leases.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 worker; 3 hands; 4 busy; 5 release; 6 alive, ms
-- RETURNS: 'ok'
-- include: clock
-- include: place
-- include: version
-- include: back
local root, now = KEYS[1], clock(ARGV[1])
if ARGV[3] == '0' then
  redis.call('ZREM', root .. 'workers', ARGV[2])
  redis.call('HDEL', root .. 'hands', ARGV[2])
  if redis.call('GET', root .. 'leader') == ARGV[2] then redis.call('DEL', root .. 'leader') end
  if redis.call('ZCOUNT', root .. 'workers', now - ARGV[6], '+inf') == 0 then
    for _, key in ipairs(redis.call('ZRANGE', root .. 'leases', 0, -1)) do
      local known = redis.call('HMGET', root .. 'p:' .. key, 'stage', 'token', 'opened', 'v')
      if known[2] ~= known[3] and STEP_OF[known[1]] and not is_newer(known[4]) then
        hand_back(root, key, STEP_OF[known[1]], now)
      end
    end
  end
  wake(root)
else
  if not redis.call('ZSCORE', root .. 'workers', ARGV[2]) then wake(root) end
  redis.call('ZADD', root .. 'workers', now, ARGV[2])
  redis.call('HSET', root .. 'hands', ARGV[2], cjson.encode({tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]}))
end
return 'ok'
