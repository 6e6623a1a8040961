/** A step as Redis does it: one script, which nothing interrupts. One hash for each key: `head`, and a field for each member. */
import { QUANTUM } from '../shares.ts';
import { CALL_AGAIN, CALL_MOST, HEAL } from './postgres-step.ts';

/** The braces keep what belongs to one key on one node of a cluster. */
export const hashOf = (key: string): string => `cenote:budget:{${key}}`;

/** KEYS[1]: the hash, which is the channel as well. ARGV[1]: the report. Gives the answer, as JSON. */
export const STEP = `
if redis.replicate_commands then redis.replicate_commands() end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local says = cjson.decode(ARGV[1])
local resize = says.resize ~= cjson.null and says.resize or nil

local head, mine, others, dead, known = nil, nil, {}, {}, 0
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local row = cjson.decode(fields[i + 1])
  if fields[i] == 'head' then head = row
  else
    row.id = fields[i]
    local isAlive = row.seen > now - row.ttl
    if row.id == says.id then
      known = row.seq
      if isAlive then mine = row end
    elseif isAlive then others[#others + 1] = row
    else dead[#dead + 1] = row.id end
  end
end
local isAnyAlive = mine ~= nil or #others > 0
head = head or { lim = says.limit, heal = 0, epoch = 0 }

local outcome = 'ok'
local isSaid = says.said == head.lim
for _, row in ipairs(others) do isSaid = isSaid or row.said == says.said end
if mine and mine.seq >= says.seq then outcome = 'stale'
elseif says.join == 'new' and #others > 0 and not isSaid then outcome = 'mismatch'
elseif says.join == 'none' and not mine then outcome = 'unknown' end
if outcome ~= 'ok' then
  return cjson.encode({ outcome = outcome, limit = head.lim, epoch = head.epoch, granted = 0, share = 0, pressed = false, over = false, members = #others })
end

local lim = resize or (isAnyAlive and head.lim) or says.limit
local heal = head.heal
local isForgotten = (says.noted or 0) > known
if not isAnyAlive then heal = says.join == 'again' and now + math.floor(${HEAL} * says.ttl) or 0
elseif isForgotten and now >= heal then heal = now + math.floor(${HEAL} * says.ttl) end
local function phase(granted, want) return granted > 0 and 2 or want > 0 and 1 or 0 end
local since = mine and phase(mine.granted, mine.want) == phase(says.hold, says.want) and mine.since or now

local claimants, total, granted = {}, 0, 0
for _, row in ipairs(others) do
  claimants[#claimants + 1] = row
  granted = granted + row.granted
end
if not says.leave then
  claimants[#claimants + 1] = { id = says.id, want = says.want, granted = says.hold, floor = says.floor, weight = says.weight, since = since }
end
for _, c in ipairs(claimants) do
  c.most = math.min(math.max(c.want, c.granted), lim)
  c.share = c.most
  total = total + c.most
end
if total > lim then
  local claims = {}
  for _, c in ipairs(claimants) do
    c.share = 0
    for k = 1, c.most do
      local tier = k <= math.min(c.floor, c.want) and 0 or k <= c.want and 1 or 2
      local rank = k > c.granted and 1 or (k > 1 or now < c.since + ${QUANTUM}) and 0 or 2
      claims[#claims + 1] = { of = c, tier = tier, level = tier == 0 and k or k / c.weight, rank = rank, turn = rank == 2 and -c.since or c.since }
    end
  end
  table.sort(claims, function(a, b)
    if a.tier ~= b.tier then return a.tier < b.tier end
    if a.level ~= b.level then return a.level < b.level end
    if a.rank ~= b.rank then return a.rank < b.rank end
    if a.turn ~= b.turn then return a.turn < b.turn end
    return a.of.id < b.of.id
  end)
  for i = 1, lim do claims[i].of.share = claims[i].of.share + 1 end
end

local share = says.leave and 0 or claimants[#claimants].share
local mineToBe = says.hold
if not says.leave and now >= heal then mineToBe = says.hold + math.max(0, math.min(share - says.hold, lim - says.hold - granted)) end
local short = not says.leave and says.want > mineToBe and 1 or 0
local isPressed = false
for _, row in ipairs(others) do
  if row.want > row.granted then
    short = short + 1
    isPressed = true
  end
end
local epoch = head.epoch
if mineToBe > says.hold or (says.join == 'again' and mineToBe > 0) then epoch = math.max(head.epoch + 1, says.epoch + 1, now) end

local called, isCalled, free = {}, {}, lim - mineToBe - granted
table.sort(others, function(a, b)
  if a.since ~= b.since then return a.since < b.since end
  return a.id < b.id
end)
for _, row in ipairs(others) do
  if now >= heal and row.share > row.granted and free > 0 then
    free = free - (row.share - row.granted)
    isCalled[row.id] = true
    called[#called + 1] = row.id
  end
end
local woken = {}
for _, row in ipairs(others) do
  local shortBeside = short - (row.want > row.granted and 1 or 0)
  if row.granted > 0 and shortBeside > 0 and (row.told == nil or row.told > row.share) and row.woken <= now - ${CALL_AGAIN} then
    woken[row.id] = true
    if not isCalled[row.id] then called[#called + 1] = row.id end
  end
end

if #dead > 0 then redis.call('HDEL', KEYS[1], unpack(dead)) end
local longest = says.ttl
for _, row in ipairs(others) do
  longest = math.max(longest, row.ttl)
  if woken[row.id] then
    row.woken = now
    local id = row.id
    row.id, row.most, row.share = nil, nil, nil
    redis.call('HSET', KEYS[1], id, cjson.encode(row))
  end
end
if says.leave then
  redis.call('HDEL', KEYS[1], says.id)
else
  if says.hold == 0 and mineToBe > 0 then since = now end
  redis.call('HSET', KEYS[1], says.id, cjson.encode({ seq = says.seq, seen = now, label = says.label, said = mine and mine.said or says.said,
    ttl = says.ttl, floor = says.floor, weight = says.weight, granted = mineToBe, used = says.used, want = says.want,
    told = isPressed and share or nil, woken = mine and mine.woken or 0, since = since }))
end
if says.leave and #others == 0 then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'head', cjson.encode({ lim = lim, heal = heal, epoch = epoch }))
  redis.call('PEXPIRE', KEYS[1], 2 * longest)
end
if resize then redis.call('PUBLISH', KEYS[1], '*')
elseif #called > 0 then redis.call('PUBLISH', KEYS[1], table.concat(called, ' ', 1, math.min(#called, ${CALL_MOST}))) end
return cjson.encode({ outcome = 'ok', limit = lim, epoch = epoch, granted = mineToBe, share = share, pressed = isPressed,
  over = mineToBe + granted > lim, members = #claimants })
`;

/** All members that live, as they are now, as JSON. */
export const MEMBERS = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rows = {}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local row = cjson.decode(fields[i + 1])
  if fields[i] ~= 'head' and row.seen > now - row.ttl then
    rows[#rows + 1] = { id = fields[i], member = row.label, granted = row.granted, used = row.used, wanted = row.want, seenAgo = now - row.seen }
  end
end
return #rows == 0 and '[]' or cjson.encode(rows)
`;
