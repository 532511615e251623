-- Takes or renews the lease of one sink's pump and gives it the first message of each listing whose time has come.
-- While the sink is down nothing is given until its pause is over, and then one message to try it with.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 sink; 3 the pump's name; 4 lease, ms; 5 most listings; then listings that it is busy with
-- RETURNS: 'follow', ms until the lease runs out | 'lead', now (ms), wait until the next time (ms; -1: none is known),
--          how often the sink was found down in a row, then for each message: {listing, entry id, failed tries, event}
-- include: clock
local root, now, sink = KEYS[1], clock(ARGV[1]), ARGV[2]
local lease, turn, outbox = root .. 'pump:' .. sink, root .. 'turn:' .. sink, root .. 'outbox:' .. sink
local holder = redis.call('GET', lease)
if holder and holder ~= ARGV[3] then return {'follow', redis.call('PTTL', lease)} end
redis.call('SET', lease, ARGV[3], 'PX', ARGV[4])

local state = redis.call('HMGET', root .. 'sinks', 'until:' .. sink, 'down:' .. sink)
local pause, down = tonumber(state[1] or '0') - now, tonumber(state[2] or '0')
if pause > 0 then return {'lead', now, pause, down} end
local room, busy, busies = tonumber(ARGV[5]), {}, #ARGV - 5
for i = 6, #ARGV do busy[ARGV[i]] = true end
if down > 0 then room = busies == 0 and math.min(room, 1) or 0 end

local answer = {'lead', now, -1, down}
for _, listing in ipairs(redis.call('ZRANGEBYSCORE', turn, '-inf', now, 'LIMIT', 0, room + busies)) do
  if not busy[listing] and room > 0 then
    local id = redis.call('LINDEX', root .. 'queue:' .. sink .. ':' .. listing, 0)
    local entry = id and redis.call('XRANGE', outbox, id, id)[1]
    if entry then
      local tries = redis.call('HGET', root .. 'tries:' .. sink, listing) or '0'
      answer[#answer + 1] = {listing, id, tries, entry[2][4]}
      room = room - 1
    elseif id then
      -- Somebody took the entry out of the outbox by hand.
      redis.call('LPOP', root .. 'queue:' .. sink .. ':' .. listing)
      answer[3] = 0
    else
      redis.call('ZREM', turn, listing)
    end
  end
end
local later = redis.call('ZRANGEBYSCORE', turn, '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
if later[2] and answer[3] ~= 0 then answer[3] = math.ceil(later[2] - now) end
return answer
