-- Forgets rows of photos that have ended; never one that is open, held, or being worked on.
-- KEYS: 1 the account's root
-- ARGV: 1 '1' to do it, '' to count only; 2 ended at or before (ms); then photo keys
-- RETURNS: how many were (or would be) forgotten, how many of the given are not ended, how many ended later
-- include: place
local root, purged, open, later = KEYS[1], 0, 0, 0

local function forget(key, row, stage, partner, listing_key)
  redis.call('DEL', row, root .. 'o:' .. key)
  if LISTED[stage] then redis.call('ZREM', root .. 'held:' .. stage, key) end
  count(root, partner, stage, -1)
  local listing = root .. 'l:' .. listing_key
  -- Its completion message will tell of all its photos, and it expires after that.
  if tonumber(redis.call('HGET', listing, 'open') or '0') > 0 then return end
  redis.call('HDEL', listing, 'p:' .. key)
  for _, name in ipairs(redis.call('HKEYS', listing)) do
    if name:sub(1, 2) == 'p:' then return end
  end
  redis.call('DEL', listing)
end

for i = 3, #ARGV do
  local row = root .. 'p:' .. ARGV[i]
  local known = redis.call('HMGET', row, 'stage', 'token', 'stage_since_ms', 'partner', 'listing_key')
  if known[1] then
    if not ENDED[known[1]] or known[2] ~= '' then
      open = open + 1
    elseif tonumber(known[3]) > tonumber(ARGV[2]) then
      later = later + 1
    else
      if ARGV[1] == '1' then forget(ARGV[i], row, known[1], known[4], known[5]) end
      purged = purged + 1
    end
  end
end
return {purged, open, later}
