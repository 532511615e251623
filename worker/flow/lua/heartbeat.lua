-- A worker says that it lives and how many photos it can work on at once; 0 hands takes it off the list.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 worker; 3 hands; 4 busy; 5 release
-- RETURNS: 'ok'
-- include: clock
-- include: place
local root, now = KEYS[1], clock(ARGV[1])
if ARGV[3] == '0' then
  redis.call('ZREM', root .. 'workers', ARGV[2])
  redis.call('HDEL', root .. 'hands', ARGV[2])
  if redis.call('GET', root .. 'leader') == ARGV[2] then redis.call('DEL', root .. 'leader') end
else
  if not redis.call('ZSCORE', root .. 'workers', ARGV[2]) then wake(root) end
  redis.call('ZADD', root .. 'workers', now, ARGV[2])
  redis.call('HSET', root .. 'hands', ARGV[2], cjson.encode({tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]}))
end
return 'ok'
