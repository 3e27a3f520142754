-- Every change of a run, each one atomic: compare the caller's token and claim, then set.
-- Called as: EVALSHA sha 0 <operation> <JSON of its arguments>; answers JSON.
-- Keys are derived from ids here, so one Redis (or Sentinel) is meant, not a sharded cluster.

local op = ARGV[1]
local a = cjson.decode(ARGV[2])

local function server_time()
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1000000
end

-- The journal's clock is Redis' own, so that workers' clocks need not agree; tests inject theirs.
local now = a.now or server_time()

local RUN = 'kg:run:' .. (a.run_id or '')
local ACTIVE = 'kg:runs:active'
-- Each kind's runs that have not ended: watches are many, and whoever looks for rollbacks must not
-- read them all.
local OPEN = 'kg:runs:open:'
local SEEN = 'kg:queue:seen'

local function stamp(t) return string.format('%.6f', t) end

-- The run is read once and kept in step with what is written; a script sees no other's changes.
local kept
local function whole()
  if kept then return kept end
  kept = {}
  local flat = redis.call('HGETALL', RUN)
  for i = 1, #flat, 2 do kept[flat[i]] = flat[i + 1] end
  return kept
end
local function get(field) return whole()[field] end
local function set(...)
  redis.call('HSET', RUN, ...)
  local changes = {...}
  for i = 1, #changes, 2 do whole()[changes[i]] = tostring(changes[i + 1]) end
end
local function unset(field)
  redis.call('HDEL', RUN, field)
  whole()[field] = nil
end
local function answer(t) return cjson.encode(t) end
local function terminal(state)
  return state == 'succeeded' or state == 'needs_attention' or state == 'failed'
    or state == 'cancelled'
end

-- What knowngood/metrics.py exposes: one hash a family, its labels joined by '|' as the field.
local function count(family, field, by)
  redis.call('HINCRBYFLOAT', 'kg:metrics:' .. family, field, by or 1)
end

-- One bucket an observation; the exposition adds them up.
local function observe(family, labels, seconds, bounds)
  local bucket = '+Inf'
  for _, bound in ipairs(bounds) do
    if seconds <= bound then bucket = tostring(bound) break end
  end
  count(family, labels .. bucket)
  count(family, labels .. 'sum', math.max(seconds, 0))
end

local STEP_BOUNDS = {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900}
local RESTORE_BOUNDS = {1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 300, 900}

local function become(state)
  local kind, former = get('kind'), get('state')
  if former == state then return end
  if former then count('runs', kind .. '|' .. former, -1) end
  count(terminal(state) and 'ended' or 'runs', kind .. '|' .. state)
  set('state', state)
end

local function step_ended(result)
  local began = tonumber(get('step_started') or '')
  local step = get('step')
  if began then observe('steps', get('kind') .. '|' .. step .. '|', now - began, STEP_BOUNDS) end
  set('result:' .. step, result)
end

local function note(event, detail)
  redis.call('XADD', 'kg:journal:' .. a.run_id, 'MAXLEN', '~', '5000', '*',
    'at', stamp(now), 'event', event, 'step', get('step') or '', 'attempt', get('attempt') or '0',
    'token', get('token') or '0', 'detail', detail or '{}')
  -- What changes a run is told to whoever looks at all runs; a watch's polls are too many for that.
  if op ~= 'note' then
    redis.call('XADD', 'kg:feed', 'MAXLEN', '~', '10000', '*', 'run_id', a.run_id, 'event', event)
  end
end

local function due(t) redis.call('ZADD', ACTIVE, stamp(t), a.run_id) end

-- Grows with the clock too, so that it stays ahead of old messages when Redis lost its data.
local function next_token(flow_id)
  local key = 'kg:token:' .. flow_id
  local last = tonumber(redis.call('GET', key) or '0')
  local token = string.format('%d', math.max(last + 1, math.floor(now * 1000)))
  redis.call('SET', key, token)
  return token
end

-- The caller may change the run only while its token is the newest and its claim stands.
local function lost()
  local state = get('state')
  if not state then return 'gone' end
  if terminal(state) then return 'ended' end
  if get('token') ~= a.token then return 'stale' end
  if a.claim and get('claim') ~= a.claim then return 'stale' end
  return nil
end

local function put_alert(alert_id, alert)
  local key = 'kg:alert:' .. alert_id
  if redis.call('EXISTS', key) == 0 then
    redis.call('HSET', key, 'alert', alert)
    redis.call('ZADD', 'kg:alerts:due', stamp(now), alert_id)
    count('alerts', cjson.decode(alert).kind)
  end
end

-- What outlives the run: the flow's name for people, and which version callers heard last.
local function remember(name, live)
  local flow = 'kg:flow:' .. get('flow_id')
  if name then redis.call('HSET', flow, 'name', name) end
  if live then redis.call('HSET', flow, 'live', live) end
end

local ops = {}

function ops.create()
  if redis.call('EXISTS', RUN) == 1 then return answer({answer = 'exists', run_id = a.run_id}) end
  local alias = redis.call('GET', 'kg:alias:' .. a.run_id)
  if alias then return answer({answer = 'joined', run_id = alias}) end
  local idem = a.idempotency_key and ('kg:idem:' .. a.kind .. ':' .. a.idempotency_key)
  -- Beside the run's id, for a key may belong to a request that joined the run of another.
  local asked = idem and ('kg:idem-request:' .. a.kind .. ':' .. a.idempotency_key)
  if idem then
    local former = redis.call('GET', idem)
    local first = redis.call('GET', asked)
    if former and first and first ~= a.fingerprint then return answer({answer = 'reused'}) end
    if former then return answer({answer = 'repeated', run_id = former}) end
    if a.fingerprint then redis.call('SET', asked, a.fingerprint, 'EX', a.retention) end
  end
  local holder = 'kg:lease:' .. a.flow_id
  if a.exclusive then
    local first = redis.call('GET', holder)
    if first and redis.call('EXISTS', 'kg:run:' .. first) == 1 then
      redis.call('SET', 'kg:alias:' .. a.run_id, first, 'EX', a.retention)
      if idem then redis.call('SET', idem, first, 'EX', a.retention) end
      return answer({answer = 'joined', run_id = first})
    end
    redis.call('SET', holder, a.run_id)
  end
  if idem then redis.call('SET', idem, a.run_id, 'EX', a.retention) end
  local token = next_token(a.flow_id)
  set('run_id', a.run_id, 'kind', a.kind, 'flow_id', a.flow_id,
    'flow_name', redis.call('HGET', 'kg:flow:' .. a.flow_id, 'name') or '',
    'waiting_on', '', 'position', a.position, 'step', a.step,
    'attempt', '0', 'token', token, 'claim', '', 'created', stamp(now), 'handed', stamp(now),
    'request', a.request, 'counters', '{}')
  become('queued')
  redis.call('ZADD', 'kg:runs', stamp(now), a.run_id)
  redis.call('SADD', OPEN .. a.kind, a.run_id)
  for field, value in pairs(a.facts) do set(field, value) end
  due(now + a.grace)
  note('accepted', a.request)
  return answer({answer = 'created', run_id = a.run_id})
end

-- Hand the run to the queue once: a second delivery of the entry message gets nothing.
function ops.dispatch()
  local state = get('state')
  if not state then return answer({answer = 'gone'}) end
  if terminal(state) then return answer({answer = 'ended'}) end
  if get('dispatched') then return answer({answer = 'done'}) end
  set('dispatched', '1', 'handed', stamp(now))
  due(now + a.grace)
  return answer({answer = 'go', run = whole()})
end

function ops.begin()
  local why = lost()
  if why then return answer({answer = why, run = why == 'ended' and whole() or nil}) end
  local position = tonumber(get('position'))
  if a.position < position then return answer({answer = 'done'}) end
  if a.position > position then return answer({answer = 'stale'}) end
  local claim = get('claim')
  if claim ~= '' and tonumber(get('expires')) > now then return answer({answer = 'busy'}) end
  local handed = tonumber(get('handed'))
  local seen = redis.call('GET', SEEN)
  if not seen or tonumber(seen) < handed then redis.call('SET', SEEN, stamp(handed)) end
  if claim ~= '' then count('leases_lost', get('kind')) end
  set('attempt', get('attempt') + 1, 'step', a.step, 'claim', a.new_claim, 'expires', stamp(now + a.ttl), 'waiting_on', '')
  become('running')
  if not get('started') then set('started', stamp(now)) end
  if not get('step_started') then set('step_started', stamp(now)) end
  due(now + a.ttl)
  note('step-started', cjson.encode({worker = a.worker}))
  return answer({answer = 'go', run = whole()})
end

-- A heartbeat, and the fence before every write: both need the newest token and the claim.
function ops.renew()
  local why = lost()
  if why then return answer({answer = why}) end
  set('expires', stamp(now + a.ttl))
  due(now + a.ttl)
  return answer({answer = 'go'})
end

function ops.note()
  local why = lost()
  if why then return answer({answer = why}) end
  note(a.event, a.detail)
  return answer({answer = 'go'})
end

function ops.finish_step()
  local why = lost()
  if why then return answer({answer = why}) end
  note('step-ended', a.result)
  step_ended(a.result)
  set('position', a.position + 1, 'claim', '', 'attempt', '0', 'counters', '{}',
    'handed', stamp(now), 'step', a.next_step)
  unset('step_started')
  for field, value in pairs(a.facts) do set(field, value) end
  for _, field in ipairs(a.stamps) do set(field, stamp(now)) end
  remember(a.facts.flow_name, a.facts.from_version)
  due(now + a.grace)
  return answer({answer = 'go', run = whole()})
end

function ops.wait()
  local why = lost()
  if why then return answer({answer = why}) end
  become('waiting')
  set('waiting_on', a.waiting_on, 'claim', '', 'counters', a.counters,
    'handed', stamp(now + a.countdown))
  local cause = get('kind') .. '|' .. get('step') .. '|' .. a.waiting_on
  count('waits', cause)
  count('wait_seconds', cause, a.countdown)
  if a.waiting_on == 'lock' then
    set('lock_wait', (get('lock_wait') or 0) + a.countdown)
  end
  due(now + a.countdown + a.grace)
  note('step-waits', a.detail)
  return answer({answer = 'go', run = whole()})
end

-- A run that something else drives for a while (a watch and its polls): look again at `until`.
function ops.park()
  local why = lost()
  if why then return answer({answer = why}) end
  become('running')
  set('waiting_on', '', 'claim', '', 'handed', stamp(a['until']))
  if not get('started') then set('started', stamp(now)) end
  for field, value in pairs(a.facts) do set(field, value) end
  due(a['until'])
  return answer({answer = 'go'})
end

-- Back to an earlier step with a new token: every message of the old chain is stale from here on.
function ops.rewind()
  local why = lost()
  if why then return answer({answer = why}) end
  note('fell-back', a.detail)
  set('position', a.position, 'step', a.step, 'claim', '', 'attempt', '0', 'counters', '{}',
    'handed', stamp(now), 'token', next_token(get('flow_id')))
  unset('step_started')
  for field, value in pairs(a.facts) do set(field, value) end
  due(now + a.grace)
  return answer({answer = 'go', run = whole()})
end

-- Take over a run whose executor is silent. The score is compared, so two reconcilers act once.
function ops.take_over()
  local score = redis.call('ZSCORE', ACTIVE, a.run_id)
  local state = get('state')
  if not state or terminal(state) then
    redis.call('ZREM', ACTIVE, a.run_id)
    return answer({answer = 'ended'})
  end
  if not score or tonumber(score) > now then return answer({answer = 'busy'}) end
  if get('claim') == '' and a.backlog then
    -- The message may still be in the queue: only a later one that was begun proves it lost.
    local seen = redis.call('GET', SEEN)
    if not seen or tonumber(seen) < tonumber(get('handed')) + a.grace then
      due(now + a.grace)
      return answer({answer = 'busy'})
    end
  end
  local silent = cjson.encode({silent_since = score, claim = get('claim')})
  count('reconciled', get('kind'))
  if get('claim') ~= '' then count('leases_lost', get('kind')) end
  set('token', next_token(get('flow_id')), 'claim', '', 'handed', stamp(now), 'dispatched', '1')
  set('takeovers', (get('takeovers') or 0) + 1)
  due(now + a.grace)
  note('taken-over', silent)
  return answer({answer = 'go', run = whole()})
end

local function close(state, outcome, reason, alert_id, alert)
  become(state)
  set('waiting_on', '', 'claim', '', 'ended', stamp(now), 'outcome', outcome, 'error', reason)
  local flow_id = get('flow_id')
  if redis.call('GET', 'kg:lease:' .. flow_id) == a.run_id then
    redis.call('DEL', 'kg:lease:' .. flow_id)
  end
  redis.call('ZREM', ACTIVE, a.run_id)
  redis.call('SREM', OPEN .. get('kind'), a.run_id)
  redis.call('SADD', 'kg:runs:unarchived', a.run_id)
  if alert_id then put_alert(alert_id, alert) end
  note('run-ended', cjson.encode({state = state, outcome = outcome, error = reason}))
  redis.call('EXPIRE', RUN, a.retention)
  redis.call('EXPIRE', 'kg:journal:' .. a.run_id, a.retention)
end

-- The terminal state, the freed lease and the alert in the outbox: all of them or none.
function ops.end_run()
  local why = lost()
  if why then return answer({answer = why}) end
  if a.result then
    note('step-ended', a.result)
    step_ended(a.result)
  end
  for field, value in pairs(a.facts) do set(field, value) end
  local restored = a.state == 'succeeded' and get('kind') == 'rollback'
  local held, live = tonumber(get('lock_held_at') or ''), tonumber(get('restored_at') or '')
  if restored and held and live then observe('restore', '', live - held, RESTORE_BOUNDS) end
  remember(a.facts.flow_name, restored and get('target_version') or nil)
  local target = restored and get('target_version')
  if target then redis.call('HSET', 'kg:flow:' .. get('flow_id'), 'restored', target) end
  close(a.state, a.outcome, a.error, a.alert_id, a.alert)
  return answer({answer = 'go', run = whole()})
end

-- A person's cancel: only before the step that changes the flow has begun.
function ops.cancel()
  local state = get('state')
  if not state then return answer({answer = 'gone'}) end
  if terminal(state) then return answer({answer = 'ended', state = state}) end
  local position = tonumber(get('position'))
  local no_return = a.no_return[get('kind')]
  if no_return and (position > no_return
      or (position == no_return and tonumber(get('attempt')) > 0)) then
    return answer({answer = 'too-late', step = get('step')})
  end
  close('cancelled', 'cancelled', a.error)
  return answer({answer = 'go'})
end

function ops.alert()
  put_alert(a.alert_id, a.alert)
  return answer({answer = 'go'})
end

return ops[op]()
