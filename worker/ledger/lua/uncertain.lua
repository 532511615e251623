-- Uncertain photos, the oldest first, some at a time. Those whose job can't be running any more give their slots back.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 the longest that a job runs, ms; 3 rank of the first; 4 how many at most
-- RETURNS: for each: key, row (flat pairs)
-- include: clock
-- include: place
local root, now, answer = KEYS[1], clock(ARGV[1]), {}
for _, key in ipairs(redis.call('ZRANGE', root .. 'held:uncertain', ARGV[3], ARGV[3] + ARGV[4] - 1)) do
  local row = root .. 'p:' .. key
  local sent = redis.call('HMGET', row, 'sent_ms', 'stage_since_ms')
  local since = tonumber(sent[1] or sent[2] or now)
  if now - since >= tonumber(ARGV[2]) and redis.call('ZREM', root .. 'slots', key) == 1 then wake(root) end
  answer[#answer + 1] = key
  answer[#answer + 1] = redis.call('HGETALL', row)
end
return answer
