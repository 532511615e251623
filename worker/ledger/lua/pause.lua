-- Pauses photos. Before its create a photo is parked, whoever works on it; one in flight goes on, and is parked only
-- should its create turn out to have been refused.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 note (JSON: why, note, by); then photo keys
-- RETURNS: for each photo two words: verdict (parked | already | in_flight | ended | unknown), stage or ''
-- include: clock
-- include: place
-- include: park
local root, now, answer = KEYS[1], clock(ARGV[1]), {}

local function pause(key)
  local row = root .. 'p:' .. key
  local stage = redis.call('HGET', row, 'stage')
  if not stage then return 'unknown', '' end
  if ENDED[stage] then return 'ended', stage end
  if stage == 'parked' and parked_for(root, key).why == 'paused' then return 'already', stage end
  if BACKLOG_OF[stage] or stage == 'ingesting' then
    park(root, key, now, ARGV[2])
    return 'parked', 'parked'
  end
  -- What is parked for another reason is paused on top of it.
  redis.call('HSET', row, 'pause', ARGV[2])
  return stage == 'parked' and 'parked' or 'in_flight', stage
end

for i = 3, #ARGV do
  local verdict, stage = pause(ARGV[i])
  answer[#answer + 1] = verdict
  answer[#answer + 1] = stage
end
wake(root)
return answer
