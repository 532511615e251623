-- A budget that the API does not document starts low. It grows by a quarter whenever half a window long it was what kept
-- slots empty, until it is refused; then it falls back by a quarter and stays for an hour. Needs `in_force`.
local GROWTH, REST_WINDOWS = 1.25, 60

local function grow(root, now, budget, starving, most)
  local found = redis.call('HGET', root .. 'limits', budget[1])
  -- What the API says itself is not for probing.
  if found and cjson.decode(found)[3] == 'reported' then return end
  local since = redis.call('HMGET', root .. 'growth', budget[1], budget[1] .. ':rests')
  if not starving or now < tonumber(since[2] or '0') then
    if since[1] then redis.call('HDEL', root .. 'growth', budget[1]) end
    return
  end
  if not since[1] then
    redis.call('HSET', root .. 'growth', budget[1], now)
  elseif now - tonumber(since[1]) >= budget[3] / 2 and budget[2] < most then
    local count = math.min(most, math.ceil(budget[2] * GROWTH))
    redis.call('HSET', root .. 'limits', budget[1], cjson.encode({count, budget[3], 'grown'}))
    redis.call('HSET', root .. 'growth', budget[1], now)
  end
end

local function shrink(root, now, route)
  local found = redis.call('HGET', root .. 'limits', route)
  local limit = found and cjson.decode(found)
  if not limit or limit[3] ~= 'grown' then return end
  redis.call('HSET', root .. 'limits', route, cjson.encode({math.max(1, math.floor(limit[1] / GROWTH)), limit[2], 'grown'}))
  redis.call('HSET', root .. 'growth', route .. ':rests', now + REST_WINDOWS * limit[2])
end
