-- Takes a lease back without counting anything: the photo waits for the same step again, from `at` (ms).
local function hand_back(root, key, step, at)
  redis.call('HSET', root .. 'p:' .. key, 'token', '')
  redis.call('ZREM', root .. 'leases', key)
  redis.call('ZREM', root .. 'unadmitted:' .. step, key)
  redis.call('ZADD', root .. 'due:' .. step, at, key)
end
