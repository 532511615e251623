-- An uncertain photo's job is found: it goes on with that job, and nothing is created.
-- KEYS: 1 the account's root
-- ARGV: 1 pushed clock or ''; 2 photo key; 3 job id
-- RETURNS: 'resolved' | 'not_uncertain' | 'taken' (another photo has this job), stage
-- include: clock
-- include: place
-- include: learn
-- include: bought
-- include: jobs
-- include: notice
local root, now, key = KEYS[1], clock(ARGV[1]), ARGV[2]
local row = root .. 'p:' .. key
local known = redis.call('HMGET', row, 'stage', 'partner', 'job_id', 'idempotency_key')
if known[1] ~= 'uncertain' and known[3] == ARGV[3] then return {'resolved', known[1]} end
if known[1] ~= 'uncertain' then return {'not_uncertain', known[1] or 'unknown'} end
-- The fleet and a person, or two searches, may have found one job for two photos.
local owner = redis.call('HGET', root .. 'jobs', 'j:' .. ARGV[3])
if owner and owner ~= key then return {'taken', known[1]} end
redis.call('HSET', row, 'stage', 'generating', 'stage_since_ms', now, 'token', '', 'job_id', ARGV[3])
note_stage(row, 'generating', now)
redis.call('HSETNX', row, 'created_ms', now)
redis.call('HDEL', row, 'body', 'sent_ms', 'spent_day', 'error_code', 'error_message', 'attempt', 'polls', 'lost')
redis.call('ZREM', root .. 'held:uncertain', key)
count(root, known[2], 'uncertain', -1)
count(root, known[2], 'generating', 1)
-- It may be running still: the slot is given back by the read that sees it over.
redis.call('ZADD', root .. 'slots', 'NX', now, key)
redis.call('ZADD', root .. 'due:poll_generation', now, key)
bought_enter(root, key, ARGV[3], now)
jobs_enter(root, key, known[4], ARGV[3])
wake(root)
-- A webhook of it may have come before anybody knew whose it is.
return {'resolved', notice_early(root, now, key, 'generating')}
