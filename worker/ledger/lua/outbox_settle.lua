-- Settles messages that were sent to one sink. Only a listing's first message can be settled, so a repeated call, or one
-- of a pump that lost its lease, changes nothing that was settled already.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 sink; then five for each message: listing, entry id,
--       word (delivered | retry | dead | down), wait (ms), reason
-- RETURNS: how many were settled
-- include: clock
local root, now, sink, settled = KEYS[1], clock(ARGV[1]), ARGV[2], 0
local turn, outbox, tries, sinks = root .. 'turn:' .. sink, root .. 'outbox:' .. sink, root .. 'tries:' .. sink, root .. 'sinks'

local function finish(listing, id, word, reason)
  local queue = root .. 'queue:' .. sink .. ':' .. listing
  if word == 'dead' then
    local event, failed = redis.call('XRANGE', outbox, id, id)[1][2][4], redis.call('HGET', tries, listing) or '0'
    redis.call('XADD', root .. 'dead:' .. sink, '*', 'listing', listing, 'event', event, 'reason', reason, 'tries', failed + 1)
  end
  redis.call('XDEL', outbox, id)
  redis.call('HDEL', tries, listing)
  redis.call('LPOP', queue)
  -- At the end of those whose time has come: every listing has its turn.
  if redis.call('LLEN', queue) == 0 then redis.call('ZREM', turn, listing) else redis.call('ZADD', turn, now, listing) end
  redis.call('HINCRBY', sinks, word .. ':' .. sink, 1)
end

for i = 3, #ARGV, 5 do
  local listing, id, word, wait, reason = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3]), ARGV[i + 4]
  if redis.call('LINDEX', root .. 'queue:' .. sink .. ':' .. listing, 0) == id then
    settled = settled + 1
    if word == 'delivered' or word == 'dead' then finish(listing, id, word, reason) end
    if word == 'retry' then
      redis.call('HINCRBY', tries, listing, 1)
      redis.call('ZADD', turn, now + wait, listing)
    end
    if word ~= 'delivered' then
      redis.call('HSET', sinks, 'reason:' .. sink, reason)
    elseif redis.call('HLEN', tries) == 0 then
      redis.call('HDEL', sinks, 'reason:' .. sink)
    end
    if word ~= 'down' then
      -- It was reached, if only to refuse.
      redis.call('HDEL', sinks, 'until:' .. sink, 'down:' .. sink)
    else
      -- Another listing is tried next, and calls that failed together count once.
      redis.call('ZADD', turn, now, listing)
      if tonumber(redis.call('HGET', sinks, 'until:' .. sink) or '0') <= now then
        redis.call('HINCRBY', sinks, 'down:' .. sink, 1)
        redis.call('HSET', sinks, 'until:' .. sink, now + wait)
      end
    end
  end
end
return settled
