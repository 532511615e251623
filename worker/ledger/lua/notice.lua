-- Takes one webhook in: applied, or kept until its job is known, in one call, before it is answered.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 event type; 3 job id or ''; 4 reference or ''; 5 outputs as a row has them, or '' when
--       the job is to be read; 6 source asset's id or ''; 7 what is kept of it (JSON); 8 how many are kept at most;
--       9 how long one is kept, ms
-- RETURNS: 'applied' (the photo goes on) | 'read' (the job is read now) | 'kept' (no job of ours yet) | 'duplicate' |
--          'late' (the job was seen to be over before) | 'ignored' (it names no job)
-- include: clock
-- include: place
-- include: learn
-- include: jobs
-- include: bought
-- include: notice
local root, now = KEYS[1], clock(ARGV[1])
local event, job, reference = ARGV[2], ARGV[3], ARGV[4]

local function photo()
  local key = job ~= '' and redis.call('HGET', root .. 'jobs', 'j:' .. job)
  if key or reference == '' then return key end
  key = redis.call('HGET', root .. 'jobs', 'r:' .. reference)
  -- A row that sends another create by now: the reference was an earlier one's.
  if key and redis.call('HGET', root .. 'p:' .. key, 'idempotency_key') ~= reference then return nil end
  return key
end

local function keep()
  local inbox, at = root .. 'inbox', root .. 'inbox:' .. job
  local text = ARGV[7]
  if redis.call('EXISTS', at) == 1 then
    -- Other news of the same job: they may contradict each other, so it will be read.
    local news = cjson.decode(text)
    news.outputs = ''
    text = cjson.encode(news)
  end
  redis.call('SET', at, text, 'PX', ARGV[9])
  redis.call('ZADD', inbox, now, job)
  redis.call('ZREMRANGEBYSCORE', inbox, '-inf', now - ARGV[9])
  for _, oldest in ipairs(redis.call('ZRANGE', inbox, 0, -ARGV[8] - 1)) do
    redis.call('ZREM', inbox, oldest)
    redis.call('DEL', root .. 'inbox:' .. oldest)
  end
  return 'kept'
end

local function take()
  if job ~= '' then
    if not jobs_heard(root, now, event, job) then return 'duplicate' end
    if redis.call('ZSCORE', root .. 'notices', 'over ' .. job) then return 'late' end
  end
  local key = photo()
  local word = key and notice_apply(root, now, key, {job = job, outputs = ARGV[5], asset = ARGV[6]}) or 'other'
  if word ~= 'other' then return word end
  return job == '' and 'ignored' or keep()
end

local word = take()
redis.call('HINCRBY', root .. 'webhooks', word, 1)
redis.call('SET', root .. 'unheard', 0)
return word
