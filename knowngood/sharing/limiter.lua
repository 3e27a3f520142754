-- The rate limit of one OAuth client, each operation atomic. KEYS: the limiter's name.
-- ARGV: operation, JSON of its arguments. `acquire` answers the seconds to wait, 0 for a place.
--
-- `sent` lists when places were taken in the last window, the newest first: in no window are there
-- more than the limit, wherever Genesys' own window begins. A run that is let in is promised places
-- for all its calls, which count as taken until it is silent for LAPSE. Runs that find no room
-- queue; each is told when there will be room for it and for those before it.

local NAME = KEYS[1]
local STATE, SENT, RUNS = NAME, NAME .. ':sent', NAME .. ':runs'
local LEFT, MADE = NAME .. ':left', NAME .. ':made'
local op = ARGV[1]
local a = cjson.decode(ARGV[2])

-- Places are of the last minute: no replica and no append-only file is told of them, which would
-- cost a write to disk for each call. After a restart, answers tell how many are used. Only how many
-- calls a run makes is kept: rollbacks are rare, and many may come at once.
if op == 'acquire' then redis.set_repl(redis.REPL_NONE) end

local WINDOW = 61       -- Genesys counts by the minute; a call may be a second on its way
local HEADROOM = 0.97   -- of what is allowed, the part that is used
local UNTOLD = 300      -- allowed a minute until an answer has told
local LAPSE = 8         -- seconds without a call after which a run's promise is void
local BURST = 5         -- seconds by which paced calls may run ahead of their pace
local EARLY = 0.8       -- the part of a long wait after which a run is told anew
local SLACK = 2         -- runs that one which has waited may overtake
local GONE = 120        -- seconds after its time when a run in the queue is expected no more
local YEAR = 3e7

local function server_time()
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1000000
end

local now = a.now or server_time()
local QUEUE = NAME .. ':queue:' .. (a.priority or '')
local DUE = QUEUE .. ':due'

local function stamp(t) return string.format('%.4f', t) end
local function known(field) return tonumber(redis.call('HGET', STATE, field) or nil) end
local function number(field) return known(field) or 0 end
local function set(field, value) redis.call('HSET', STATE, field, value) end
local function sent_at(index) return tonumber(redis.call('LINDEX', SENT, index) or nil) end
local function count(family, field) redis.call('HINCRBYFLOAT', 'kg:metrics:' .. family, field, 1) end

local function allowed() return known('allowed') or UNTOLD end

-- What this caller may use of the limit, at least one place.
local function most()
  local limit = math.min(allowed(), a.cap or allowed()) * HEADROOM
  return math.max(math.floor(limit * a.share), 1)
end

-- What others have used, beyond what a cap of our own leaves to them anyway.
local function foreign()
  if now >= number('foreign_until') then return 0 end
  return math.max(number('foreign') - math.max(allowed() - (a.cap or allowed()), 0), 0)
end

-- How many calls a run of this kind makes; what it asks for, until others have told.
local function mean() return known('mean:' .. a.priority) or a.calls end

local function left_to(run) return run and tonumber(redis.call('HGET', LEFT, run) or '0') or 0 end

local function forget_old()
  local oldest = sent_at(-1)
  while oldest and oldest <= now - WINDOW do
    redis.call('RPOP', SENT)
    oldest = sent_at(-1)
  end
end

-- A run that is silent needs no more places; it tells how many calls runs of its kind make.
local function void_promises()
  for _, run in ipairs(redis.call('ZRANGEBYSCORE', RUNS, '-inf', stamp(now))) do
    local left = left_to(run)
    if left > 0 then redis.call('HINCRBY', STATE, 'promised', -left) end
    local made, field = redis.call('HGET', MADE, run), 'mean:' .. string.match(run, '^%a+')
    local former = known(field) or made
    redis.set_repl(redis.REPL_ALL)
    set(field, former + (made - former) / 10)
    redis.set_repl(redis.REPL_NONE)
    redis.call('ZREM', RUNS, run)
    redis.call('HDEL', LEFT, run)
    redis.call('HDEL', MADE, run)
  end
end

-- How many places were taken after a moment: a binary search, for the list is in order.
local function taken_after(moment)
  local low, high = 0, redis.call('LLEN', SENT)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if sent_at(middle) > moment then low = middle + 1 else high = middle end
  end
  return low
end

-- An answer's headers: what is allowed, and what others have used of it in Genesys' window.
local function learn(told)
  if not told then return end
  set('allowed', told.allowed)
  local heard = now - told.age
  local ends = heard + told.reset
  -- `reset` is in whole seconds: better a call of theirs taken for ours than one of ours for theirs.
  local ours = taken_after(ends - 60 - 2) - taken_after(heard)
  set('foreign', math.max(told.count - ours, 0))
  set('foreign_until', stamp(ends))
end

-- In how many seconds so many more of our places have come free. They come free in the order in
-- which they were taken, those that are promised last, and then again, each window like the former.
local function ours_freed(missing, most)
  if missing <= 0 then return 0 end
  local index = math.ceil(missing) - 1
  local sent = sent_at(-1 - index % most) or now
  return sent + WINDOW * (1 + math.floor(index / most)) - now
end

-- What others have used comes free at once, when Genesys' window ends.
local function freed(missing, most)
  local wait, theirs = ours_freed(missing, most), foreign()
  if theirs == 0 then return wait end
  local ends = number('foreign_until') - now
  return math.min(wait, math.max(ends, ours_freed(missing - theirs, most)))
end

local function held(seconds)
  count('rate_limited', a.priority .. '|held')
  -- The first answers will tell how much more is allowed.
  if not known('allowed') then seconds = math.min(seconds, 1) end
  return stamp(math.max(seconds, 0.05))
end

-- Whoever has no name cannot come back as one who has waited: one after the other, with as much
-- time for each as its calls take.
local function later(wait, most)
  local field = 'turn:' .. a.priority
  local turn = math.min(math.max(number(field), now + wait), now + wait + WINDOW)
  set(field, stamp(turn + a.calls * WINDOW / most))
  return held(turn - now)
end

local function leave_queue(run)
  redis.call('ZREM', QUEUE, run)
  redis.call('ZREM', DUE, run)
end

-- The run's place in the queue, in which those that have begun go first.
local function rank_of(run)
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', DUE, '-inf', stamp(now - GONE))) do
    leave_queue(gone)
  end
  redis.call('ZADD', QUEUE, 'NX', stamp(a.begun and now - YEAR or now), run)
  return redis.call('ZRANK', QUEUE, run)
end

-- A run whose time is far off is told anew before: once told, it cannot be called earlier.
local function appoint(run, wait)
  if wait > WINDOW then wait = math.max(WINDOW, wait * EARLY) end
  redis.call('ZADD', DUE, stamp(now + wait), run)
  return held(wait)
end

-- Says how long the caller has to wait, or nil when it may take a place.
local function refused(run, calls, most)
  local paused = math.max(number('paused'), number('paused:' .. a.priority)) - now
  if left_to(run) > 0 and paused <= 0 then return nil end
  local free = most - redis.call('LLEN', SENT) - number('promised') - foreign()
  local wait = math.max(paused, freed(calls - free, most))
  if run then
    local rank, fair = rank_of(run), free / calls
    -- Whoever has waited need not wait for those before it that are late.
    if redis.call('ZSCORE', DUE, run) then fair = fair + SLACK + redis.call('ZCARD', QUEUE) / 20 end
    if wait > 0 or rank + 1 > fair then
      local room = freed(calls - free + rank * mean(), most)
      -- The first runs of their kind will soon tell how many of their places they leave.
      if not a.begun and not known('mean:' .. a.priority) then room = math.min(room, LAPSE + 1) end
      return appoint(run, math.max(paused, room))
    end
    leave_queue(run)
    return nil
  end
  if a.paced then wait = math.max(wait, number('pace:' .. a.priority) - BURST - now) end
  return wait > 0 and later(wait, most) or nil
end

local ops = {}

function ops.acquire()
  forget_old()
  void_promises()
  learn(a.told)
  local most = most()
  local run = a.run and a.priority .. '|' .. a.run
  local calls = run and math.min(a.begun and a.calls or math.ceil(mean()), most) or 1
  local wait = refused(run, calls, most)
  if wait then return wait end
  if run then
    local left = left_to(run)
    local more = left > 0 and 0 or calls
    redis.call('HINCRBY', STATE, 'promised', more - 1)
    redis.call('HSET', LEFT, run, left + more - 1)
    redis.call('HINCRBY', MADE, run, 1)
    redis.call('ZADD', RUNS, stamp(now + LAPSE), run)
  elseif a.paced then
    local field = 'pace:' .. a.priority
    set(field, stamp(math.max(number(field), now) + WINDOW / most))
  end
  redis.call('LPUSH', SENT, stamp(now))
  redis.call('EXPIRE', SENT, WINDOW + 1)
  count('api_calls', a.priority)
  return 0
end

-- After a 429 all wait, or those of this priority when another limit than the token's was met.
function ops.pause()
  local field = a.all and 'paused' or 'paused:' .. a.priority
  set(field, stamp(math.max(number(field), now + a.seconds)))
  count('rate_limited', a.priority .. '|refused')
  return 0
end

-- How the limit stands, for people.
function ops.look()
  forget_old()
  return cjson.encode({allowed = known('allowed'), used = redis.call('LLEN', SENT),
    paused = math.max(number('paused') - now, 0)})
end

function ops.learn()
  learn(a.told)
  return 0
end

return ops[op]()
