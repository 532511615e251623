-- How many photos wait for their create, by priority and partner. O(partners).
-- KEYS: 1 the account's root
-- ARGV: none
-- RETURNS: for each: priority, partner, photos; a partner may come more than once
local root, answer = KEYS[1], {}

local function add(kind, priority, partner)
  local photos = redis.call('ZCARD', root .. 'backlog:' .. kind .. ':' .. priority .. ':' .. partner)
  if photos > 0 then for _, word in ipairs({priority, partner, photos}) do answer[#answer + 1] = word end end
end

for _, kind in ipairs({'source', 'generation'}) do
  for priority = 9, 0, -1 do
    for _, partner in ipairs(redis.call('ZRANGE', root .. 'ring:' .. kind .. ':' .. priority, 0, -1)) do
      add(kind, priority, partner)
    end
  end
  for _, member in ipairs(redis.call('ZRANGE', root .. 'resting:' .. kind, 0, -1)) do
    local priority, partner = member:match('^(%d+):(.*)$')
    if not redis.call('ZSCORE', root .. 'ring:' .. kind .. ':' .. priority, partner) then
      add(kind, priority, partner)
    end
  end
end
return answer
