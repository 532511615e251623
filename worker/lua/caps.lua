-- Caps on billable jobs. `caps` is what the settings say: {account = {day, period}, partner = {day, period},
-- partners = {name = {day, period}}, included}. Who has reached a cap is marked in the sorted set `capped` (score: when to
-- look again, ms) and left out of the turns until the mark is lifted: none of the photos that wait is touched.
-- Needs `spend`.

-- The first day of the month that a day is in, both as days since the epoch.
local function month_start(day)
  local z = day + 719468
  local doe = z % 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  return day - (doy - math.floor((153 * math.floor((5 * doy + 2) / 153) + 2) / 5))
end

-- The billing period: its first day and its end (ms), as the usage summary says; else the calendar month.
local function cap_period(root, now)
  local known = redis.call('HMGET', root .. 'usage', 'period_start_ms', 'period_end_ms')
  local first, ends = tonumber(known[1] or ''), tonumber(known[2] or '')
  if first and ends and first <= now and now < ends and ends - first < SPEND_KEPT then
    return math.floor(first / SPEND_DAY), ends
  end
  local month = month_start(math.floor(now / SPEND_DAY))
  return month, month_start(month + 32) * SPEND_DAY
end

-- What is left of the included allowance: as the summary said, less what was bought since and was in flight then.
local function allowance_left(root)
  local known = redis.call('HMGET', root .. 'usage', 'remaining', 'bought', 'in_flight')
  local remaining = tonumber(known[1] or '')
  if not remaining then return nil end
  local bought = tonumber(redis.call('HGET', root .. 'totals', 'bought') or '0')
  return remaining - (bought - tonumber(known[2])) - tonumber(known[3])
end

-- Which cap leaves `who` nothing: its name, its number, and when it moves by itself (ms); nil when none does.
local function cap_reached(root, caps, who, now)
  local name = who:match('^partner:(.*)$')
  local limits = name and (caps.partners[name] or caps.partner) or caps.account
  local today = math.floor(now / SPEND_DAY)
  if limits.day and spend_sum(root, who, today, today) >= limits.day then
    return 'day', limits.day, (today + 1) * SPEND_DAY
  end
  if limits.period then
    local first, ends = cap_period(root, now)
    if spend_sum(root, who, first, today) >= limits.period then return 'period', limits.period, ends end
  end
  if not name and caps.included then
    local left = allowance_left(root)
    if not left or left <= 0 then return 'included', left or 'unknown', now + 60000 end
  end
end

-- Marks `who` if one of its caps is reached, or lifts the mark; returns when to look again, or nil.
local function cap_look(root, caps, who, now)
  local cap, number, again = nil, nil, nil
  if caps then cap, number, again = cap_reached(root, caps, who, now) end
  if not cap then
    redis.call('ZREM', root .. 'capped', who)
    redis.call('HDEL', root .. 'capped_why', who)
    return nil
  end
  local known = redis.call('HGET', root .. 'capped_why', who)
  local since = known and cjson.decode(known).since_ms or now
  redis.call('ZADD', root .. 'capped', again, who)
  redis.call('HSET', root .. 'capped_why', who,
    cjson.encode({cap = cap, number = number, since_ms = since, until_ms = again}))
  return again
end

-- Marks the account and the partner as far as their caps are reached; returns when to look again, or nil.
local function caps_look(root, caps, partner, now)
  local mine, all = cap_look(root, caps, 'partner:' .. partner, now), cap_look(root, caps, 'account', now)
  if not mine and not all then return nil end
  return math.max(mine or 0, all or 0)
end

-- Says whether a partner's turns are left out. O(1).
local function is_capped(root, partner)
  return redis.call('ZSCORE', root .. 'capped', 'account') or redis.call('ZSCORE', root .. 'capped', 'partner:' .. partner)
end
