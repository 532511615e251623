-- How every sink with an outbox is doing, for the account's picture: [name, waiting, listings, oldest entry's id or '',
-- dead letters, lease holder or '', listings that wait after a failed try], and the counters of `sinks` as they are.
local function sinks_of(root)
  local fields, found, counters = redis.call('HGETALL', root .. 'sinks'), {}, {}
  for i = 1, #fields, 2 do
    counters[fields[i]] = fields[i + 1]
    local sink = fields[i]:match('^put:(.*)$')
    if sink then
      local outbox = root .. 'outbox:' .. sink
      local oldest = redis.call('XRANGE', outbox, '-', '+', 'COUNT', 1)[1]
      found[#found + 1] = {sink, redis.call('XLEN', outbox), redis.call('ZCARD', root .. 'turn:' .. sink),
        oldest and oldest[1] or '', redis.call('XLEN', root .. 'dead:' .. sink),
        redis.call('GET', root .. 'pump:' .. sink) or '', redis.call('HLEN', root .. 'tries:' .. sink)}
    end
  end
  return {sinks = found, counters = counters}
end
