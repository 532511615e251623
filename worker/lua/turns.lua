-- Whose turn it is: priority first, then fair turns between partners by their weights; nothing starves.

-- Every so many turns the longest wait decides instead of the priority.
local AGED_TURN = 4
-- A partner that may not go now is looked at again after this long, ms.
local REST_MS = 1000

local function head_of(root, kind, priority, now, may_go)
  local ring = root .. 'ring:' .. kind .. ':' .. priority
  while true do
    local first = redis.call('ZRANGE', ring, 0, 0, 'WITHSCORES')
    local partner = first[1]
    if not partner then return nil end
    local waiting = backlog_of(root, kind, priority, partner)
    local oldest = redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')
    if not oldest[1] then
      redis.call('ZREM', ring, partner)
      redis.call('HSET', root .. 'turns:' .. kind, 't:' .. priority .. ':' .. partner, first[2])
    elseif not may_go(partner) then
      redis.call('ZREM', ring, partner)
      redis.call('HSET', root .. 'turns:' .. kind, 't:' .. priority .. ':' .. partner, first[2])
      redis.call('ZADD', root .. 'resting:' .. kind, now + REST_MS, priority .. ':' .. partner)
    else
      return {priority = priority, partner = partner, tag = tonumber(first[2]), photo = oldest[1],
        since = math.floor(tonumber(oldest[2]) / 1000)}
    end
  end
end

-- Partners that rested and may go now stand in their rings again.
local function end_rests(root, kind, now, may_go)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', root .. 'resting:' .. kind, '-inf', now)) do
    local priority, partner = member:match('^(%d+):(.*)$')
    if not may_go(partner) then
      redis.call('ZADD', root .. 'resting:' .. kind, now + REST_MS, member)
    else
      redis.call('ZREM', root .. 'resting:' .. kind, member)
      if redis.call('EXISTS', root .. 'backlog:' .. kind .. ':' .. member) == 1 then
        ring_join(root, kind, priority, partner)
      end
    end
  end
end

-- Photos that are ready for a slot but whose partner may not have one now: they are not part of the look-ahead.
local function resting_now(root, kind)
  local photos = 0
  for _, member in ipairs(redis.call('ZRANGE', root .. 'resting:' .. kind, 0, -1)) do
    local waiting = root .. 'backlog:' .. kind .. ':' .. member
    photos = photos + redis.call('ZCARD', waiting) - redis.call('ZINTERCARD', 2, waiting, root .. 'remaking')
  end
  return photos
end

-- Takes the next photo off a backlog; nil when none may go. `weights`: turns of a partner for one of the others.
local function next_turn(root, kind, now, ageing_ms, weights, may_go)
  local turns, best, urgency = root .. 'turns:' .. kind, nil, nil
  local aged = redis.call('HINCRBY', turns, 'n', 1) % AGED_TURN == 0
  for priority = 9, 0, -1 do
    local head = head_of(root, kind, priority, now, may_go)
    if head then
      local mine = aged and priority + math.floor((now - head.since) / ageing_ms) or priority
      if not best or mine > urgency then best, urgency = head, mine end
      if not aged then break end
    end
  end
  if not best then return nil end
  local waiting = backlog_of(root, kind, best.priority, best.partner)
  local ring = root .. 'ring:' .. kind .. ':' .. best.priority
  local after = string.format('%.6f', best.tag + 1 / (tonumber(weights[best.partner]) or 1))
  redis.call('ZREM', waiting, best.photo)
  redis.call('HSET', turns, 'v:' .. best.priority, string.format('%.6f', best.tag))
  if redis.call('EXISTS', waiting) == 1 then
    redis.call('ZADD', ring, after, best.partner)
  else
    redis.call('ZREM', ring, best.partner)
    redis.call('HSET', turns, 't:' .. best.priority .. ':' .. best.partner, after)
  end
  return best.photo
end
