-- Whose job is it: the ids and references of open jobs lead to their photos (hash `jobs`, so it stays small), and what
-- has been heard of jobs is remembered for a while (sorted set `notices`), so that news counts once.
local IN_FLIGHT = {creating = true, generating = true, uncertain = true}
-- Notices that are remembered: some hours' worth at a thousand jobs an hour, some megabytes.
local REMEMBERED = 20000

local function jobs_enter(root, key, reference, job)
  if reference then redis.call('HSET', root .. 'jobs', 'r:' .. reference, key) end
  if job then redis.call('HSET', root .. 'jobs', 'j:' .. job, key) end
end

local function jobs_leave(root, reference, job)
  if reference then redis.call('HDEL', root .. 'jobs', 'r:' .. reference) end
  if job then redis.call('HDEL', root .. 'jobs', 'j:' .. job) end
end

-- Says whether `what` is news of this job.
local function jobs_heard(root, now, what, job)
  local notices = root .. 'notices'
  if redis.call('ZADD', notices, 'NX', now, what .. ' ' .. job) == 0 then return false end
  if redis.call('ZCARD', notices) > REMEMBERED then redis.call('ZREMRANGEBYRANK', notices, 0, -REMEMBERED - 1) end
  return true
end

-- A settled step took a photo into or out of the stages in which its job may be open. `unheard` counts the jobs that
-- were found to be over by reading since the last webhook: many say that webhooks do not come.
local function jobs_settled(root, now, key, was, stage, reference)
  if not (IN_FLIGHT[was] or IN_FLIGHT[stage]) then return end
  local known = redis.call('HMGET', root .. 'p:' .. key, 'job_id', 'idempotency_key')
  local job = known[1]
  -- The key of a job that an earlier life has made comes with the step itself.
  if IN_FLIGHT[stage] then return jobs_enter(root, key, reference or known[2], job) end
  jobs_leave(root, reference, job)
  if job and was == 'generating' and jobs_heard(root, now, 'over', job) then redis.call('INCR', root .. 'unheard') end
end
