-- Sends completion messages: onto the stream and into the outbox of every other sink, in the script that makes them true.
-- `to` says where: {stream (a key, or ''), length, outboxes (names of sinks)}; `Ledger` gives it to every script that emits.

local function outbox_wake(root, sink)
  if redis.call('LLEN', root .. 'news:' .. sink) == 0 then redis.call('RPUSH', root .. 'news:' .. sink, '1') end
end

-- Puts a message at the end of a listing's queue in one sink's outbox, and wakes the pump.
local function outbox_put(root, sink, listing, event, now)
  local id = redis.call('XADD', root .. 'outbox:' .. sink, '*', 'listing', listing, 'event', event)
  redis.call('RPUSH', root .. 'queue:' .. sink .. ':' .. listing, id)
  redis.call('ZADD', root .. 'turn:' .. sink, 'NX', now, listing)
  redis.call('HINCRBY', root .. 'sinks', 'put:' .. sink, 1)
  outbox_wake(root, sink)
end

-- Sends a message; those with the same `listing` (its key, or any other word) keep their order in every sink.
local function emit(root, to, listing, event, now)
  if to.stream ~= '' then redis.call('XADD', to.stream, 'MAXLEN', '~', to.length, '*', 'event', event) end
  for _, sink in ipairs(to.outboxes) do outbox_put(root, sink, listing, event, now) end
end
