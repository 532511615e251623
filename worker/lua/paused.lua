-- What people have paused: the account, partners, listings. O(1), and as good as free while nothing is paused.
local function is_paused(root, partner)
  local found = redis.call('HMGET', root .. 'paused', 'account', 'partner:' .. partner)
  return (found[1] or found[2]) and true or false
end

-- The note of a listing's pause (JSON: why, note, by, since_ms), or nil.
local function listing_pause(root, listing_key)
  return redis.call('HGET', root .. 'paused_listings', listing_key) or nil
end
