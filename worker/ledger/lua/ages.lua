-- How long what waits has been waiting: the oldest of each backlog, of each held stage, and the most belated of each
-- step. It looks at the heads of the sorted sets only, so it costs O(partners), whatever waits in them.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''
-- RETURNS: JSON: backlogs ([[kind, partner, photos, ms since the oldest was accepted]]), held ({stage: ms}),
--          overdue ({step: ms})
-- include: clock
-- include: place
local root, now = KEYS[1], clock(ARGV[1])
local function head(place)
  local first = redis.call('ZRANGE', root .. place, 0, 0, 'WITHSCORES')
  return first[1] and tonumber(first[2])
end

local backlogs = {}
local function look(kind, priority, partner)
  local name = 'backlog:' .. kind .. ':' .. priority .. ':' .. partner
  local oldest = head(name)
  if not oldest then return end
  local photos = redis.call('ZCARD', root .. name)
  backlogs[#backlogs + 1] = {kind, partner, photos, math.max(0, now - math.floor(oldest / 1000))}
end

local held, overdue = {}, {}
for stage, kind in pairs(BACKLOG_OF) do
  for priority = 0, 9 do
    for _, partner in ipairs(redis.call('ZRANGE', root .. 'ring:' .. kind .. ':' .. priority, 0, -1)) do
      look(kind, priority, partner)
    end
  end
  -- A partner that may not go now stands in no ring; one that came back into its ring is no longer here.
  for _, member in ipairs(redis.call('ZRANGE', root .. 'resting:' .. kind, 0, -1)) do
    local priority, partner = member:match('^(%d+):(.*)$')
    if not redis.call('ZSCORE', root .. 'ring:' .. kind .. ':' .. priority, partner) then look(kind, priority, partner) end
  end
end
-- Failed photos are not looked at: their place in this set outlives their rows.
for _, stage in ipairs({'parked', 'uncertain'}) do
  local since = head('held:' .. stage)
  held[stage] = since and math.max(0, now - since) or 0
end
for _, step in pairs(STEP_OF) do
  local due = head('due:' .. step)
  overdue[step] = due and math.max(0, now - due) or 0
end
return cjson.encode({backlogs = backlogs, held = held, overdue = overdue})
