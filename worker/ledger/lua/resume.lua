-- Puts paused photos back where they were. What is parked for another reason stays parked.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; then photo keys
-- RETURNS: for each photo two words: verdict (resumed | not_paused | unknown), stage or ''
-- include: clock
-- include: place
-- include: park
local root, now, answer = KEYS[1], clock(ARGV[1]), {}

local function resume(key)
  local row = root .. 'p:' .. key
  local stage = redis.call('HGET', row, 'stage')
  if not stage then return 'unknown', '' end
  local flagged = redis.call('HDEL', row, 'pause') == 1
  local back = unpark(root, key, now, 'paused')
  return (back or flagged) and 'resumed' or 'not_paused', back or stage
end

for i = 2, #ARGV do
  local verdict, stage = resume(ARGV[i])
  answer[#answer + 1] = verdict
  answer[#answer + 1] = stage
end
return answer
