"""Scripts: what a RedisJournal does in Redis itself, each all or nothing.

Here lives the Lua, and with it what stands under a stream's four keys: ``meta``, a hash of what was
asked and how it goes; ``chunks``, a Redis Stream with one entry for each network read, whose id
is the number of its last chunk; ``attempts``, a hash of records; ``lease``, which is there for as
long as the stream's process beats. A stream's keys have one hash tag, so they are on one node of
a cluster. Who writes is told by ``owner`` in ``meta``: a writer that was taken for dead, and has
been replaced, writes nothing more.

Each may be run twice, since it is sent again when its answer was lost on the way. Answers are
DONE, OTHER (the stream has another owner) and GONE (Redis has lost it, or a part of it).
"""

from __future__ import annotations

DONE = 1
OTHER = 0
GONE = -1

_HEAD = """
local meta, chunks, attempts, lease = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local owner, lease_ms, ttl_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])

local function get(name) return redis.call('HGET', meta, name) end

local function keep()
  redis.call('SET', lease, owner, 'PX', lease_ms)
  if ttl_ms > 0 then
    for _, key in ipairs({meta, chunks, attempts}) do redis.call('PEXPIRE', key, ttl_ms) end
  end
end

local function stranger()
  if redis.call('EXISTS', meta) == 0 then return -1 end
  return 0
end

-- An entry without chunks, for the followers: there is something to look at.
local function mark()
  local count = redis.call('HINCRBY', meta, 'marks', 1)
  redis.call('XADD', chunks, (get('last') or '0') .. '-' .. count, 'mark', '')
end
"""

#: Fields of ``meta``, each followed by its value.
BEGIN = (
    _HEAD
    + """
if redis.call('EXISTS', meta) == 1 then return get('owner') == owner and 1 or 0 end
redis.call('HSET', meta, 'owner', owner, unpack(ARGV, 4, #ARGV))
keep()
return 1
"""
)

#: The time. Answers with what it found, then the last chunk's number, the bytes and the owner.
CLAIM = (
    _HEAD
    + """
local status, holder = get('status'), get('owner')
if not status then return {'unknown'} end
local facts = {status, get('last') or '0', get('total') or '0', holder or ''}
if holder ~= owner then
  if status == 'complete' then return facts end
  if status == 'streaming' and redis.call('EXISTS', lease) == 1 then return facts end
  redis.call('HSET', meta, 'status', 'streaming', 'owner', owner, 'updated', ARGV[4])
  redis.call('HDEL', meta, 'error', 'verdict', 'ended_by')
  keep()
end
facts[1] = 'claimed'
return facts
"""
)

#: The last number before it, the last in it, the time, the bytes so far, the chunks, whether
#: there is a new cursor, the cursor, the number of the last "restart" or 0.
APPEND = (
    _HEAD
    + """
if get('owner') ~= owner then return stranger() end
local last = get('last') or '0'
if last == ARGV[5] then return 1 end
if last ~= ARGV[4] then return -1 end
redis.call('XADD', chunks, ARGV[5] .. '-0', 'chunks', ARGV[8])
redis.call('HSET', meta, 'last', ARGV[5], 'updated', ARGV[6], 'total', ARGV[7])
if ARGV[9] == '1' then redis.call('HSET', meta, 'state', ARGV[10]) end
if ARGV[11] ~= '0' then redis.call('HSET', meta, 'restart', ARGV[11]) end
keep()
return 1
"""
)

#: The cursor.
STATE = (
    _HEAD
    + """
if get('owner') ~= owner then return stranger() end
redis.call('HSET', meta, 'state', ARGV[4])
return 1
"""
)

#: Its number, and the record.
ATTEMPT = (
    _HEAD
    + """
if get('owner') ~= owner then return stranger() end
redis.call('HSET', attempts, ARGV[4], ARGV[5])
keep()
return 1
"""
)

#: The status, the time, the error or nothing, the verdict.
END = (
    _HEAD
    + """
if get('ended_by') == owner then return 1 end
if get('owner') ~= owner then return stranger() end
redis.call('HSET', meta, 'status', ARGV[4], 'updated', ARGV[5], 'verdict', ARGV[7])
if ARGV[6] ~= '' then redis.call('HSET', meta, 'error', ARGV[6]) end
redis.call('HSET', meta, 'ended_by', owner)
redis.call('HDEL', meta, 'owner')
mark()
keep()
redis.call('DEL', lease)
return 1
"""
)

RELEASE = (
    _HEAD
    + """
if get('owner') ~= owner then return stranger() end
redis.call('HDEL', meta, 'owner')
redis.call('DEL', lease)
mark()
return 1
"""
)

RENEW = (
    _HEAD
    + """
if get('owner') ~= owner then return stranger() end
keep()
return 1
"""
)

#: What is to be said of the record itself.
NOTE = (
    _HEAD
    + """
if get('owner') ~= owner and get('ended_by') ~= owner then return stranger() end
redis.call('HSET', meta, 'note', ARGV[4])
return 1
"""
)
