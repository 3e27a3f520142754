-- The token's renewal, each operation atomic. KEYS: the news (a stream of one entry), the turn.
-- ARGV: operation, JSON of its arguments; answers JSON. The newest entry's id is the fencing token:
-- who fetched a token on the ground of an older entry may not replace a newer one.

local NEWS, TURN = KEYS[1], KEYS[2]
local op = ARGV[1]
local a = cjson.decode(ARGV[2])

local function server_time()
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1000000
end

local now = a.now or server_time()

local function newest()
  local entry = redis.call('XREVRANGE', NEWS, '+', '-', 'COUNT', 1)[1]
  if not entry then return '0', nil end
  local fields = {}
  for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
  return entry[1], fields
end

local function told(answer, id, fields)
  return cjson.encode({answer = answer, id = id, sealed = fields.sealed,
    age = now - tonumber(fields.at), failure = fields.failure})
end

local ops = {}

-- What is new since the entry `known`; else how the last try failed, if that is still fresh; else
-- whether it is the caller's turn to fetch a token.
function ops.ask()
  local id, fields = newest()
  if fields and id ~= a.known then return told('news', id, fields) end
  if fields and tonumber(fields.failed_until) > now then return told('failed', id, fields) end
  if redis.call('SET', TURN, a.owner, 'NX', 'PX', a.turn) then
    return cjson.encode({answer = 'yours', id = id})
  end
  return cjson.encode({answer = 'wait', id = id, left = redis.call('PTTL', TURN)})
end

-- A fetched token, or the failure to fetch one beside the former token, which may still be valid.
function ops.put()
  local id, fields = newest()
  if redis.call('GET', TURN) == a.owner then redis.call('DEL', TURN) end
  if id ~= a.known then return fields and told('news', id, fields) or '{"answer": "lost"}' end
  local former = fields or {sealed = '', at = '0'}
  local new = redis.call('XADD', NEWS, 'MAXLEN', 1, '*',
    'sealed', a.sealed or former.sealed, 'at', a.sealed and now or former.at,
    'failure', a.failure or '', 'failed_until', a.failure and now + a.memory or 0)
  local kept = math.max(a.life or 0, 1000 * (a.memory or 0), redis.call('PTTL', NEWS))
  redis.call('PEXPIRE', NEWS, math.ceil(kept))
  return cjson.encode({answer = 'stored', id = new})
end

return ops[op]()
