-- Lifts the marks of caps that have moved, for the dispatcher. Needs `spend` and `caps`.

-- Looks again at the marks whose time has come, and at all of them when the caps were set anew or the usage summary was
-- read. `text` is the caps as JSON, '' when there are none. Nothing but a count while nobody has reached a cap.
local function caps_review(root, text, now)
  local capped = root .. 'capped'
  if redis.call('ZCARD', capped) == 0 then return end
  local caps, seen = text ~= '' and cjson.decode(text) or nil, redis.sha1hex(text)
  if redis.call('GET', root .. 'caps_seen') ~= seen then
    for _, who in ipairs(redis.call('ZRANGE', capped, 0, -1)) do redis.call('ZADD', capped, 0, who) end
    redis.call('SET', root .. 'caps_seen', seen)
  end
  for _, who in ipairs(redis.call('ZRANGEBYSCORE', capped, '-inf', now, 'LIMIT', 0, 100)) do
    cap_look(root, caps, who, now)
  end
end
