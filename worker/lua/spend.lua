-- What was bought: created jobs by UTC day, for the account and for each partner (hash `spend:<day>`), and in all
-- (`totals`, field `bought`). A create counts when its first send is allowed and is given back when it is known to have
-- been refused; a replay of the same create is the same job.
local SPEND_DAY, SPEND_KEPT = 86400000, 400 * 86400000

local function spend_add(root, partner, day, by)
  local spend = root .. 'spend:' .. day
  redis.call('HINCRBY', spend, 'account', by)
  redis.call('HINCRBY', spend, 'partner:' .. partner, by)
  redis.call('PEXPIRE', spend, SPEND_KEPT)
  redis.call('HINCRBY', root .. 'totals', 'bought', by)
end

local function spend_take(root, row, partner, now)
  local day = string.format('%.0f', math.floor(now / SPEND_DAY))
  redis.call('HSET', row, 'spent_day', day)
  spend_add(root, partner, day, 1)
end

local function spend_return(root, row, partner)
  local day = redis.call('HGET', row, 'spent_day')
  if not day then return end
  redis.call('HDEL', row, 'spent_day')
  spend_add(root, partner, day, -1)
  -- A cap that was reached may have room again.
  for _, who in ipairs({'account', 'partner:' .. partner}) do redis.call('ZADD', root .. 'capped', 'XX', 0, who) end
end

local function spend_sum(root, who, first, last)
  local sum = 0
  for day = first, last do sum = sum + tonumber(redis.call('HGET', root .. 'spend:' .. day, who) or '0') end
  return sum
end
