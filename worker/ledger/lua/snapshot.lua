-- The whole account in one consistent picture.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 alive, ms; then three for each budget: route, count, window with guard (ms)
-- RETURNS: JSON
-- include: clock
-- include: sinks
-- include: in_force
local root, now = KEYS[1], clock(ARGV[1])
local function all(name)
  local flat, map = redis.call('HGETALL', root .. name), {}
  for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
  return map
end
local budgets, workers = {}, {}
for i = 3, #ARGV, 3 do
  local budget = in_force(root, {{ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])}})[1]
  budgets[#budgets + 1] = {ARGV[i], redis.call('ZCOUNT', root .. 'grants:' .. ARGV[i], now - budget[3], '+inf')}
end
local seen = redis.call('ZRANGEBYSCORE', root .. 'workers', now - ARGV[2], '+inf', 'WITHSCORES')
for i = 1, #seen, 2 do
  workers[#workers + 1] = {seen[i], now - seen[i + 1], redis.call('HGET', root .. 'hands', seen[i])}
end
return cjson.encode({now_ms = now, stages = all('stages'), partners = all('partners'), totals = all('totals'),
  pauses = all('pauses'), cap = all('cap'), limits = all('limits'), budgets = budgets, workers = workers,
  slots = redis.call('ZCARD', root .. 'slots'), leases = redis.call('ZCARD', root .. 'leases'),
  leader = redis.call('GET', root .. 'leader'), boot = redis.call('GET', root .. 'boot'),
  parking = all('parking'), capped = all('capped_why'), usage = redis.call('HGET', root .. 'usage', 'raw'),
  usage_ms = redis.call('HGET', root .. 'usage', 'usage_ms'),
  spend = all('spend:' .. string.format('%.0f', math.floor(now / 86400000))), paused = all('paused'),
  paused_listings = redis.call('HLEN', root .. 'paused_listings'), sinks = sinks_of(root)})
