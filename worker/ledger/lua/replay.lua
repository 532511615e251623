-- Sends held photos on their way again, each under a new idempotency key: another job, which may be billed.
-- A changed request that waited in one takes its place; a photo whose paid job only could not be stored goes on with that job instead.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 '1' when uncertain photos are meant too; then photo keys
-- RETURNS: how many photos were sent
-- include: clock
-- include: place
-- include: revise
-- include: history
local root, now, sent = KEYS[1], clock(ARGV[1]), 0

local function resume(key, row, stage, partner)
  unplace(root, key, stage, '', '')
  redis.call('HDEL', row, 'resume', 'rereads', 'outputs', 'attempt', 'lost', 'error_code', 'error_message')
  redis.call('HSET', row, 'stage', 'generating', 'stage_since_ms', now, 'token', '')
  note_stage(row, 'generating', now)
  redis.call('PERSIST', row)
  redis.call('PERSIST', root .. 'o:' .. key)
  count(root, partner, stage, -1)
  count(root, partner, 'generating', 1)
  redis.call('ZADD', root .. 'due:poll_generation', now, key)
  reopen(root, row)
  wake(root)
end

for i = 3, #ARGV do
  local row = root .. 'p:' .. ARGV[i]
  local known = redis.call('HMGET', row, 'stage', 'partner', 'priority')
  local stage = known[1]
  if stage == 'failed' or stage == 'parked' or (stage == 'uncertain' and ARGV[2] == '1') then
    local changed = next_revision(row)
    if redis.call('HGET', row, 'resume') and not changed then
      resume(ARGV[i], row, stage, known[2])
    else
      if not changed then redis.call('HINCRBY', row, 'create_try', 1) end
      redis.call('ZREM', root .. 'slots', ARGV[i])
      restart(root, ARGV[i], now, stage, known[3], known[2], ENDED[stage], changed)
    end
    sent = sent + 1
  end
end
return sent
