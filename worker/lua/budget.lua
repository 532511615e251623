-- A route's budget: the times of the grants in the last window are kept, so N a window holds in every sliding window.
-- Grants are members named by their token: asking twice with one token spends once, and the call counts from when it was
-- asked for last, because the one that is sent is that one.
local function budget_hold(root, now, window)
  local boot = tonumber(redis.call('GET', root .. 'boot') or '')
  if not boot then
    -- Redis has been emptied (or never used): whatever was granted before is forgotten, so a whole window is spent.
    boot = now + window
    redis.call('SET', root .. 'boot', boot)
  end
  return math.max(0, boot - now)
end

-- Until when a route, or the account, is paused, ms since the epoch. `probe`: the account's pause does not hold it.
local function paused_until(root, route, probe)
  local pauses = redis.call('HMGET', root .. 'pauses', route, 'account')
  return math.max(tonumber(pauses[1] or '0'), probe and 0 or tonumber(pauses[2] or '0'))
end

-- How long until a grant may be given, in ms; 0 is now.
local function budget_wait(root, route, limit, window, now, token, probe)
  local grants = root .. 'grants:' .. route
  if tonumber(redis.call('ZSCORE', grants, token) or '-inf') >= now - window then return 0 end
  local wait = math.max(budget_hold(root, now, window), paused_until(root, route, probe) - now)
  redis.call('ZREMRANGEBYSCORE', grants, '-inf', '(' .. (now - window))
  local used = redis.call('ZCARD', grants)
  if used >= limit then
    local oldest = redis.call('ZRANGE', grants, used - limit, used - limit, 'WITHSCORES')
    wait = math.max(wait, tonumber(oldest[2]) + window + 1 - now)
  end
  return math.max(0, math.ceil(wait))
end

local function budget_take(root, route, window, now, token)
  local grants = root .. 'grants:' .. route
  if redis.call('ZADD', grants, 'NX', now, token) == 1 then
    redis.call('PEXPIRE', grants, window * 2)
    redis.call('HINCRBY', root .. 'totals', 'granted:' .. route, 1)
  else
    redis.call('ZADD', grants, 'XX', 'GT', now, token)
  end
end

-- How many grants are free now.
local function budget_free(root, route, limit, window, now)
  if budget_hold(root, now, window) > 0 or paused_until(root, route) > now then return 0 end
  return limit - redis.call('ZCOUNT', root .. 'grants:' .. route, now - window, '+inf')
end
