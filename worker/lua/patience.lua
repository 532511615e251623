-- A message costs the same for one photo and for sixteen. While an account is busy, steps that hold nothing up wait for
-- each other for a moment: until a message is full, or the first of them has waited long enough.
-- `set`: {batch (photos that fill a message), patience_ms}.

-- How long the photos of a due set should still wait; 0: not at all.
local function due_patience(place, now, set)
  local head = redis.call('ZRANGE', place, 0, 0, 'WITHSCORES')
  if not head[2] or tonumber(head[2]) > now then return 0 end
  if redis.call('ZCOUNT', place, '-inf', now) >= set.batch then return 0 end
  return math.max(0, tonumber(head[2]) + set.patience_ms - now)
end

-- How long a backlog, of which `free` photos may go, should still wait after it last gave some away.
local function turn_patience(root, kind, free, now, set)
  if free >= set.batch then return 0 end
  local given = tonumber(redis.call('HGET', root .. 'turns:' .. kind, 'given_ms') or '0')
  return math.max(0, given + set.patience_ms - now)
end
