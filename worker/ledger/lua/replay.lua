-- Sends failed and uncertain photos on their way again, each under a new idempotency key: another job, which may be billed.
-- A changed request that waited in one takes its place; a photo whose paid job only could not be stored goes on with that
-- job instead; what failed as another picture of a photo is tried as that again.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 '1' when uncertain photos are meant too; then photo keys
-- RETURNS: how many photos were sent
-- include: clock
-- include: place
-- include: paused
-- include: park
-- include: revise
-- include: again
local root, now, sent = KEYS[1], clock(ARGV[1]), 0

local function replay(key, row, stage, partner, priority)
  local changed = next_revision(row)
  local known = redis.call('HMGET', row, 'resume', 'regeneration', 'parent_job_id')
  if known[1] and not changed then return read_again(root, key, now, stage, priority, partner) end
  if not changed then redis.call('HINCRBY', row, 'create_try', 1) end
  redis.call('ZREM', root .. 'slots', key)
  if known[3] and not changed then
    return remake(root, key, now, stage, priority, partner, known[2], known[3], ENDED[stage])
  end
  restart(root, key, now, stage, priority, partner, ENDED[stage], changed)
end

for i = 3, #ARGV do
  local row = root .. 'p:' .. ARGV[i]
  local known = redis.call('HMGET', row, 'stage', 'partner', 'priority')
  local stage = known[1]
  if stage == 'failed' or (stage == 'uncertain' and ARGV[2] == '1') then
    replay(ARGV[i], row, stage, known[2], known[3])
    sent = sent + 1
  end
end
return sent
