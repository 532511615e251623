-- Puts dead letters of one sink back, each at the end of its listing, and ends the sink's pause; idempotent.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 sink; then ids of dead letters
-- RETURNS: how many were put back
-- include: clock
-- include: emit
local root, now, sink, sent = KEYS[1], clock(ARGV[1]), ARGV[2], 0
local dead = root .. 'dead:' .. sink
for i = 3, #ARGV do
  local entry = redis.call('XRANGE', dead, ARGV[i], ARGV[i])[1]
  if entry then
    outbox_put(root, sink, entry[2][2], entry[2][4], now)
    redis.call('XDEL', dead, ARGV[i])
    sent = sent + 1
  end
end
redis.call('HDEL', root .. 'sinks', 'until:' .. sink, 'down:' .. sink, 'reason:' .. sink)
outbox_wake(root, sink)
return sent
