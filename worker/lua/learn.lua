-- Remembers how long jobs of a kind run: a histogram of log buckets (eight to the doubling) that halves as it grows,
-- so that the last one or two hundred decide.
local function learn(root, kind, duration_ms)
  local histogram = root .. 'durations:' .. kind
  local bucket = math.floor(8 * math.log(math.max(1, duration_ms)) / math.log(2))
  redis.call('HINCRBY', histogram, bucket, 16)
  redis.call('PEXPIRE', histogram, 2592000000)
  if redis.call('HINCRBY', histogram, 'n', 16) < 16 * 200 then return end
  local all, total = redis.call('HGETALL', histogram), 0
  for i = 1, #all, 2 do
    if all[i] ~= 'n' then
      local half = math.floor(tonumber(all[i + 1]) / 2)
      if half == 0 then redis.call('HDEL', histogram, all[i]) else redis.call('HSET', histogram, all[i], half) end
      total = total + half
    end
  end
  redis.call('HSET', histogram, 'n', total)
end
