/** One wrong condition, order or constant each, in src/shared: what the tests are for. `npm run mutate` makes them one at a time and looks which test notices. */
import { type Mutant, mutant, together } from './mutant.ts';

export interface Listed extends Mutant {
  /** The test file that is to notice, and is asked first: 'interleave/close' is test/interleave/close.test.ts. */
  readonly first: readonly string[];
  /** No test fails, and this is why none has to. Checked: if one does fail, the program says so. */
  readonly survives?: string | undefined;
}

const UNITS = ['docs/state-machines', 'shared'];

const listed = (mutant: Mutant, first?: string, survives?: string): Listed => ({
  ...mutant,
  first: first === undefined ? UNITS : [first],
  survives,
});

export const mutants: readonly Listed[] = [
  listed(
    mutant(
      'what was withdrawn begins',
      'Claim.begin',
      'Atomics.compareExchange(this.$WORD, 0, $WAITING, $BEGUN) === $WAITING',
      'Atomics.exchange(this.$WORD, 0, $BEGUN) !== $BEGUN',
    ),
  ),
  listed(
    mutant(
      'what has begun is withdrawn',
      'Claim.withdraw',
      'Atomics.compareExchange(this.$WORD, 0, $WAITING, $WITHDRAWN) === $WAITING',
      'Atomics.exchange(this.$WORD, 0, $WITHDRAWN) !== $WITHDRAWN',
    ),
  ),
  listed(mutant('a slot picked up loses its flag', 'Slots.pickUp', '$LEASE | $FLAG', '$LEASE')),
  listed(mutant('a slot is taken without a flag', 'Slots.take', '$IN_STATE($IDLE, $TAKEN, $ME) | $FLAG', '$IN_STATE($IDLE, $TAKEN, $ME)')),
  listed(
    mutant('the version of a slot stays', 'slot.nextRound', '(($WORD & $VERSION_MASK) + $VERSION_ONE) | 0', '($WORD & $VERSION_MASK)'),
  ),
  listed(
    mutant(
      'anybody puts a slot back',
      'Slots.putBack',
      '$SLOT_STATE($WORD) === $TAKEN && $SLOT_THREAD($WORD) === $ME && this.$SWAP($SLOT, $WORD, $NEXT_ROUND($WORD, $IDLE))',
      '$SLOT_STATE($WORD) === $TAKEN && this.$SWAP($SLOT, $WORD, $NEXT_ROUND($WORD, $IDLE))',
    ),
  ),
  listed(
    mutant(
      'a slot that is taken is not flagged',
      'Slots.flag',
      'switch ($SLOT_STATE($WORD)) { case $IDLE: return $FOUND_IDLE; case $LEASED: case $TAKEN: if ($IS_FLAGGED($WORD) || this.$SWAP($SLOT, $WORD, $WORD | $FLAG)) return $FLAGGED; break; default: return $OWNERS; }',
      'switch ($SLOT_STATE($WORD)) { case $IDLE: return $FOUND_IDLE; case $LEASED: if ($IS_FLAGGED($WORD) || this.$SWAP($SLOT, $WORD, $WORD | $FLAG)) return $FLAGGED; break; default: return $OWNERS; }',
    ),
  ),
  listed(mutant('a borrow is not counted', 'Slots.borrowAgain', '++this.$WORDS[$AT + $SLOT_USES];', '')),
  listed(
    mutant(
      'a guess is not compared',
      'Slots.borrowAgain',
      'if (Atomics.compareExchange(this.$WORDS, $AT, $IDLE, $LEASED) !== $IDLE) return false;',
      'Atomics.store(this.$WORDS, $AT, $LEASED);',
    ),
  ),
  listed(
    mutant(
      'only an unflagged lease is seized',
      'Slots.seize',
      'this.$OWNER_CLAIM($SLOT, $LEASE, $IN_STATE($LEASE, $CHECKING, 0)) || this.$OWNER_CLAIM($SLOT, $LEASE | $FLAG, $IN_STATE($LEASE, $CHECKING, 0))',
      'this.$OWNER_CLAIM($SLOT, $LEASE, $IN_STATE($LEASE, $CHECKING, 0))',
    ),
  ),
  listed(mutant('a flagged return expects no flag', 'Slots.giveBackFlagged', '$LEASE | $FLAG', '$LEASE')),
  listed(mutant('slots are one more than there are', 'Slots.has', '$SLOT < this.$COUNT', '$SLOT <= this.$COUNT')),
  listed(mutant('the high water is one too low', 'Line.publish', '$CELL + 1', '$CELL')),
  listed(
    mutant(
      'a joiner leaves the epoch',
      'Line.publish',
      '$NEXT_EPOCH($LINE) | ($HIGH << $HIGH_WATER_SHIFT)',
      '($LINE & EPOCH_MASK) | ($HIGH << $HIGH_WATER_SHIFT)',
    ),
  ),
  listed(mutant('the version of a cell stays', 'line.nextRound', '(($WORD & $VERSION_MASK) + $VERSION_ONE) | 0', '$WORD & $VERSION_MASK')),
  listed(
    mutant(
      'those who change places leave their marks',
      'Line.trade',
      '[this.$AT.marks, this.$AT.joined, this.$AT.tags]',
      '[this.$AT.joined, this.$AT.tags]',
    ),
  ),
  listed(
    mutant(
      'what was seen of one who has changed places is done to the other',
      'Line.exchange',
      '$NEXT_ROUND($WORD) | $IN_STATE($WORD & $THREAD_MASK, $WAITING)',
      '$WORD',
    ),
  ),
  listed(mutant('who could not change places has changed the rest', 'Line.exchange', 'if (!$MOVED) this.$TRADE($CELL, $GRANTED);', '')),
  listed(mutant('those without a ticket are never served', 'Line.scanOldest', '!$FOUND', '$FOUND')),
  listed(
    mutant('whoever is on the way in is nobody', 'Line.scan', 'if ($STATE === $JOINING) $FOUND = $ON_THE_WAY;', ''),
    'interleave/join-release',
  ),
  listed(mutant('a line reopens up to the first cell', 'Line.reopen', 'this.$COUNT - 1', '0')),
  listed(
    mutant(
      'tickets are compared as if they did not wrap',
      'Line.scanOldest',
      '($COUNTER - this.$WORDS[$TICKETS + $CELL]) | 0',
      '$COUNTER - this.$WORDS[$TICKETS + $CELL]',
    ),
  ),
  listed(mutant('the high water is believed', 'Line.high', 'Math.min($HIGH_WATER_OF($LINE), this.$COUNT)', '$HIGH_WATER_OF($LINE)')),
  listed(mutant('one more may wait than may', 'Line.isShorterThan', 'return $WAITING < $LIMIT;', 'return $WAITING <= $LIMIT;')),
  listed(mutant('those behind count as those before', 'Line.isAmongFirst', '((this.$TICKET($OTHER) - $TICKET) | 0) < 0', 'true')),
  listed(mutant('who listens is not notified', 'ringAt', '($SLEEPING | $LISTENING)', '$SLEEPING')),
  listed(mutant('bells are one more than there are', 'Bells.ring', '$THREAD < this.$COUNT', '$THREAD <= this.$COUNT')),
  listed(mutant('a thread that woke still says that it sleeps', 'Bells.sleep', 'Atomics.and(this.$WORDS, $AT, ~$SLEEPING);', '')),
  listed(mutant('a draining pool lets people in', 'isRefusing', '($CLOSED | $DRAINING)', '$CLOSED')),
  listed(
    mutant(
      'an open breaker sends nobody away',
      'isEvicting',
      '$IS_CLOSED($STATE) || $BREAKER_OF($STATE) === $INACTIVE',
      '$IS_CLOSED($STATE)',
    ),
  ),
  listed(
    mutant(
      'probes do not come back by the owner',
      'guardsReturns',
      '($STATE & $RETURNS_GUARDED) !== 0 || $BREAKER_OF($STATE) === $RECOVERING',
      '($STATE & $RETURNS_GUARDED) !== 0',
    ),
  ),
  listed(mutant('a breaker that moves forgets the rest', 'PoolState.moveBreaker', '~$BREAKER_MASK', '0')),
  listed(
    mutant(
      'the fast path passes the line',
      'Lending.tryBorrow',
      'this.$WORDS[$STATE_WORD] | this.$LEFT | (this.$WORDS[$LINE_WORD] & $NOT_EMPTY)',
      'this.$WORDS[$STATE_WORD] | this.$LEFT',
    ),
    'interleave/no-passing',
  ),
  listed(mutant('the fast path does not flag', 'Lending.tryBorrowUnpublished', '$STATE === 0 ? 0 : $FLAG', '0'), 'main/before-release'),
  listed(
    mutant('a lease on its way back counts as held', 'Observation.holdOf', 'this.#block.hasLeft($SLOT, $LEASE)', 'false'),
    'observe/inspect',
  ),
  listed(
    mutant(
      'a knot needs no second reading',
      'knotsOver',
      'let $FOUND = findKnots(pools.map(($POOL) => $POOL.standing()));',
      'return findKnots(pools.map((pool) => pool.standing()));',
    ),
    'interleave/knots',
  ),
  listed(
    mutant(
      'one use more than maxUses',
      'Lending.watch',
      'this.$BLOCK.$USES($SLOT) >= this.$MAX_USES',
      'this.$BLOCK.$USES($SLOT) > this.$MAX_USES',
    ),
    'interleave/max-uses',
  ),
  listed(
    mutant(
      'a flagged release does not match',
      'Lending.passOn',
      '{ const { slots } = this.$BLOCK; if (!$SLOTS.$GIVE_BACK_FLAGGED($SLOT, $LEASE)) return; this.$MATCH(); this.matching.$CALL_IF_DUE($SLOT); }',
      '{ const { $SLOTS } = this.$BLOCK; if (!$SLOTS.$GIVE_BACK_FLAGGED($SLOT, $LEASE)) return; this.matching.$CALL_IF_DUE($SLOT); }',
    ),
    'interleave/join-release',
  ),
  listed(
    mutant(
      'handed in, and nobody told',
      'Lending.returnToOwner',
      'if ($SLOTS.$HAND_IN($SLOT, $LEASE)) this.matching.$CALL_OWNER();',
      '$SLOTS.$HAND_IN($SLOT, $LEASE);',
    ),
    'interleave/returns-guarded',
  ),
  listed(
    mutant(
      'a cell is freed before its slot is picked up',
      'Lending.pickUp',
      '{ const { line, slots } = this.$BLOCK; const $SLOT = $CELL_SLOT($GRANTED); const $LEASE = $SLOTS.$HAS($SLOT) ? $SLOTS.$PICK_UP($SLOT, this.$ME) : 0; $LINE.$FREE($CELL, $GRANTED); return $LEASE; }',
      '{ const { $LINE, $SLOTS } = this.$BLOCK; const $SLOT = $CELL_SLOT($GRANTED); $LINE.$FREE($CELL, $GRANTED); const $LEASE = $SLOTS.$HAS($SLOT) ? $SLOTS.$PICK_UP($SLOT, this.$ME) : 0; return $LEASE; }',
    ),
    'interleave/death/granted',
  ),
  listed(mutant('whoever leaves does not match', 'Lending.leave', 'this.$MATCH();', '')),
  listed(
    mutant(
      'a close is not told who moved',
      'Matching.match',
      '$NEEDED || $IS_CLOSED($STATE) || $IS_DRAINING($STATE) || $IS_SUSPENDED($STATE)',
      '$NEEDED || $IS_SUSPENDED($STATE)',
    ),
    'interleave/close',
  ),
  listed(
    mutant(
      'anybody hands out what is guarded',
      'Matching.holdsBack',
      '$IS_EVICTING($STATE) || $GUARDS_HAND_OUTS($STATE) || $IS_SUSPENDED($STATE)',
      '$IS_EVICTING($STATE) || $IS_SUSPENDED($STATE)',
    ),
    'interleave/hand-outs-guarded',
  ),
  listed(
    mutant(
      'a match that finds nothing flags nothing',
      'Matching.serve',
      'if (!this.$FLAG_ALL()) return this.$MAY_GROW();',
      'return this.$MAY_GROW();',
    ),
    'interleave/join-release',
  ),
  listed(
    mutant('granted, and nobody woken', 'Matching.grant', '{ this.$WAKE($CELL_THREAD($FIRST.$WORD)); return true; }', '{ return true; }'),
    'interleave/join-release',
  ),
  listed(mutant('a thread that has left still borrows', 'Lending.detach', 'this.$LEFT |= $CLOSED;', '')),
  listed(
    mutant(
      'a return is not remembered',
      'Lending.giveBack',
      '{ this.$END_LEASE($SLOT); const $LEASE = this.$LEASES[$SLOT]; const $IDLE = ($LEASE + this.$LEAVING) | 0; if (!this.$SLOTS.$GIVE_BACK($SLOT, $LEASE, $IDLE)) return this.$GIVE_BACK_FLAGGED($SLOT, $LEASE); this.$LAST_SLOT = $SLOT; this.$LAST_IDLE = $IDLE; }',
      '{ this.$END_LEASE($SLOT); const $LEASE = this.$LEASES[$SLOT]; const $IDLE = ($LEASE + this.$LEAVING) | 0; if (!this.$SLOTS.$GIVE_BACK($SLOT, $LEASE, $IDLE)) return this.$GIVE_BACK_FLAGGED($SLOT, $LEASE); this.$LAST_SLOT = $SLOT; }',
    ),
  ),
  listed(mutant('a slot that was found keeps the word of another', 'Lending.found', 'this.lastIdle = $NO_WORD;', '')),
  listed(
    mutant(
      'looks are reckoned from the past alone',
      'Lending.endTiming',
      'Math.max($TIME - Math.abs($BEGAN), ($TIME - this.$PACED_AT) / (this.$BEGUN - this.$PACED_BEGUN))',
      '(($TIME - this.$PACED_AT) / (this.$BEGUN - this.$PACED_BEGUN))',
    ),
    'worker/owner-death',
  ),
  listed(mutant('few of the first holds are timed', 'Lending.watch', 'Math.min($BEGUN, $SAMPLE_EVERY)', '$SAMPLE_EVERY'), 'main/stats'),
  listed(mutant('a thread that only borrows never looks up', 'LOOK_EVERY', '250', '2_500_000_000'), 'worker/owner-death'),
  listed(
    mutant(
      'a slot that is granted is still on offer',
      'Snapshot.supply',
      '$STATE === $TAKEN ? this.$GRANTED[$SLOT] === 0 : $STATE !== $LEASED',
      '$STATE !== $LEASED',
    ),
  ),
  listed(mutant('what the owner has for a thread is its own', 'Snapshot.heldBy', '$BEHALF === 0', '$BEHALF < 8'), 'worker/who-holds'),
  listed(
    mutant(
      'a call of any thread is mine',
      'Snapshot.heldBy',
      '$BEHALF === $THREAD || ($BEHALF === $BEHALF_OWN && $THREAD === $OWNER)',
      'true',
    ),
    'worker/who-holds',
  ),
  listed(mutant('who was found is not sorted', 'FifoCursor.rescan', '$FOUND > 1', '$FOUND < 0'), 'interleave/fifo'),
  listed(mutant('the youngest first', 'keyOf', '($AGES - $AGE)', '$AGE')),
  listed(
    mutant(
      'behind one who waits, those who try are not looked at',
      'Waiters.poll',
      'this.$TRYING === 0 && this.$LENDING.$BLOCK.$LINE.$TICKET($WAITER.$CELL) === $WAITER.$TICKET',
      'this.$LENDING.$BLOCK.$LINE.$TICKET($WAITER.$CELL) === $WAITER.$TICKET',
    ),
    'worker/acquire',
  ),
  listed(
    mutant('an abort keeps what it was granted', 'Waiters', 'this.$WITHDRAW($WAITER.$CELL)', 'this.#lending.leave($WAITER.$CELL)'),
    'main/abort',
  ),
  listed(
    mutant(
      'a try is not told what the factory said',
      'Waiters.conclude',
      '$WAITER.$TRIES && $REASON !== $REASON_FACTORY',
      '$WAITER.$TRIES',
    ),
    'main/try-acquire',
  ),
  listed(
    mutant(
      'the error of the factory is kept for a waiter that has gone',
      'Waiters',
      'this.$LENDING.withdraw($CELL)?.reason === $REASON_FACTORY',
      'this.$LENDING.withdraw($CELL)?.reason === undefined',
    ),
    'shared/waiters',
  ),
  listed(
    mutant(
      'a waiter that was refused hears only of the end behind it',
      'Waiters.abandon',
      '$REFUSED === undefined || $REFUSED.$REASON === $REASON_CLOSED',
      'true',
    ),
    'shared/waiters',
  ),
  listed(mutant('a waiter that was served keeps the process', 'Waiters.finish', 'this.$KEEP_ALIVE.$LET_GO();', ''), 'main/exit'),
  listed(
    mutant('what the dead were granted stays', 'repair', 'if ($SLOT_STATE($TAKEN) === $OWN_TAKEN) $SLOTS.$UNTAKE($SLOT, $TAKEN);', ''),
    'interleave/death/granted',
  ),
  listed(
    mutant(
      'what the dead granted is taken back',
      'repair',
      '$SLOT_STATE($WORD) === $TAKEN && !$OWNER.$BLOCK.$SNAPSHOT.$IS_GRANTED($SLOT)',
      '$SLOT_STATE($WORD) === $TAKEN',
    ),
    'interleave/death/matcher',
  ),
  listed(mutant('whom the dead granted is not woken', 'repair', '$OWNER.$WAKE($CELL_THREAD($WORD));', '{}'), 'interleave/death/matcher'),
  listed(mutant('a line that the dead emptied stays so', 'repair', '$LINE.$REOPEN();', '')),
  listed(
    together(
      'a sleeper reads its bell after it looked',
      mutant('', 'sleepInLine', 'const $SEEN = $BELLS.$READ($LENDING.$ME);', ''),
      mutant(
        '',
        'sleepInLine',
        'const $OUTCOME = $LENDING.collect($CELL);',
        'const $OUTCOME = $LENDING.collect($CELL);\n    const seen = bells.read($LENDING.me);',
      ),
    ),
    'interleave/join-release',
  ),
  listed(
    mutant(
      'a sleeper served at the last moment times out',
      'sleepInLine',
      '$LENDING.$LEAVE($CELL) ? $TIMED_OUT : $ENDED($LENDING.$COLLECT($CELL))',
      '$LENDING.$LEAVE($CELL) ? $TIMED_OUT : $TIMED_OUT',
    ),
    'interleave/leave-grant',
  ),
  listed(
    mutant('a sleeper that is cancelled stays in line', 'Acquiring.sleep', 'this.#waiters.withdraw($PLACE.cell);', ''),
    'interleave/cancelled',
  ),
  listed(mutant('a sleeper is never told that it is cancelled', 'sleepInLine', '$SLEEPER.assertGoesOn();', ''), 'interleave/cancelled'),
  listed(
    mutant(
      'a sleeper never asks after its owner',
      'sleepInLine',
      '$BELLS.$READ($LENDING.$ME) === $SEEN',
      '$BELLS.$READ($LENDING.$ME) !== $SEEN',
    ),
    'worker/owner-death',
  ),
  listed(
    together(
      'looks, then listens',
      mutant('', 'BellListener.rung', 'this.listen();', ''),
      mutant('', 'BellListener.rung', 'this.#onRing();', 'this.#onRing();\n    this.listen();'),
    ),
  ),
  listed(mutant('hears after its end', 'BellListener.rung', 'if (this.$IS_OVER) return;', '')),
  listed(mutant('the first thread gets the record of the owner', 'Threads.attach', '1', '0')),
  listed(mutant('the owner is counted', 'Threads.attached', '1', '0')),
  listed(
    mutant(
      'what the dead had is never released',
      'Counters.fold',
      'this.$FLOATS[$FROM + $COUNTER_RELEASED] = this.$FLOATS[$FROM + $COUNTER_ACQUIRED];',
      '',
    ),
  ),
  listed(mutant('folded counters count twice', 'Counters.fold', 'this.$FLOATS[$FROM + $COUNTER] = 0;', '')),
  listed(mutant('a sum in the middle of a fold', 'Counters.sums', '$BEFORE & 1', '$BEFORE & 2')),
  listed(mutant('a sum beside a fold', 'Counters.sums', 'if (Atomics.add(this.$WORDS, $FOLD_WORD, 0) === $BEFORE) break;', 'break;')),
  listed(
    mutant(
      'buckets shifted by one',
      'bucketOf',
      'Math.floor($WHOLE / 2 ** ($EXPONENT - 3)) - 8',
      'Math.floor($WHOLE / 2 ** ($EXPONENT - 3)) - 7',
    ),
  ),
  listed(mutant('a percentile is one too high', 'middlesAt', '$REACHED >= $WANTED[$NEXT]', '$REACHED > $WANTED[$NEXT]')),
  listed(
    mutant(
      'whoever joins beside a close stays',
      'Acquiring.enqueue',
      '$IS_REFUSING($STATE) && $LENDING.$LEAVE($CELL)',
      '$STATE < 0 && $LENDING.$LEAVE($CELL)',
    ),
    'interleave/close',
  ),
  listed(
    mutant(
      'use gives back what somebody else has borrowed since',
      'PoolBase.endBody',
      'if (!this.$LENDING.isCurrent($SLOT, $SERIAL)) return this.$REVOCATIONS.get($SERIAL);',
      'if (!this.$LENDING.holds($SLOT)) return this.$REVOCATIONS.get($SERIAL);',
    ),
    'main/use-and-lease',
  ),
  listed(mutant('a try does not ask the owner', 'Acquiring.tryEnqueue', '$LENDING.matching.callOwner();', ''), 'interleave/try-acquire'),
  listed(
    mutant('recovery flags nothing', 'PoolBase.recover', 'this.$LENDING.matching.flagAll();', ''),
    'interleave/recovering',
    'flagged twice: whoever joins in RECOVERING calls the owner, whose turn flags whatever is out before it leaves anybody waiting (Demand.meet); and where a hook or a strategy wants to see returns, everything is flagged from the moment it is borrowed',
  ),
  listed(mutant('too few cells', 'ControlBlock.create', '$CONSTANTS.$MAX_WAITING + $THREADS + $CEILING', '$CONSTANTS.$MAX_WAITING')),
  listed(mutant('any major will do', 'abi.isReadable', '$MAJOR_OF($THEIRS.version) === $MAJOR_OF($OURS.version)', 'true')),
  listed(mutant('an earlier minor will do', 'abi.isReadable', '$THEIRS.version >= $OURS.version', 'true')),
  listed(mutant('features that nothing knows are left alone', 'abi.isReadable', '($THEIRS.features & ~$OURS.features) === 0', 'true')),
  listed(mutant('extent falls past what is there', 'Limits.impose', '$SLOT_STATE(this.$SLOTS.load($OWN.extent - 1)) === $EMPTY', 'true')),
  listed(mutant('a slot that is EMPTY is room', 'Snapshot.hasRoom', 'this.count().count < this.$LIMITS.max', 'true')),
  listed(mutant('a tag outlives its lease', 'Lending.endTiming', 'this.setTag($SLOT, 0);', '')),
  listed(
    mutant(
      'a lease has the tag of what runs when it is granted',
      'Lending.collect',
      'if (this.$TAG_OF !== undefined) this.setTag($SLOT, $TAG);',
      '',
    ),
  ),
  listed(mutant('the tag of a dead thread stays', 'repair', '$SLOTS.setTag($SLOT, 0);', '')),
  listed(
    mutant(
      'a new resource has been used',
      'ControlBlock.renew',
      'this.$WORDS[this.$LAYOUT.$SLOTS + $SLOT * $SLOT_STRIDE + $SLOT_USES] = 0',
      'this.$WORDS[this.$LAYOUT.$SLOTS + $SLOT * $SLOT_STRIDE + $SLOT_USES] |= 0',
    ),
  ),
  listed(
    mutant(
      'the error of another waiter is forgotten',
      'FactoryErrors.delete',
      'this.$BY_CELL.$GET($CELL)?.$TICKET === $TICKET',
      'this.$BY_CELL.has($CELL)',
    ),
  ),
  listed(mutant('a stack of an earlier lease', 'Traces.stackOf', '$TAKEN?.$LEASE === $LEASE', '$TAKEN !== undefined')),
  listed(mutant('the process lives on', 'KeepAlive.unref', '--this.$PENDING === 0', '--this.$PENDING < 0')),
  listed(mutant('the process ends while one of two is pending', 'KeepAlive.unref', '--this.$PENDING === 0', '--this.$PENDING >= 0')),
  listed(mutant('errors within errors without end', 'errorFrom', '0', 'Number.NEGATIVE_INFINITY')),
  listed(
    mutant(
      'the class of the language is lost',
      'languageType',
      "if ($NAME === 'AggregateError' || Object.hasOwn($BUILT_IN, $NAME)) return $NAME;",
      "if ($NAME === 'AggregateError' || Object.hasOwn($BUILT_IN, $NAME)) return '';",
    ),
  ),
  listed(mutant('stamps do not wrap', 'since', '($STAMP() - $STAMPED) | 0', '$STAMP() - $STAMPED')),
  listed(mutant('each thread has a clock of its own', 'now', '$ORIGIN + $PERFORMANCE.$NOW()', '$PERFORMANCE.$NOW() + 0 * $ORIGIN')),
  listed(
    mutant(
      'one that is borrowed just as it is to be replaced is forgotten',
      'Recycling.proceed',
      'alive--;',
      'if (!slots.check(slot)) continue; alive--; this.#give(slot); continue;',
    ),
    'interleave/recycle',
  ),
  listed(
    mutant(
      'what is retired while it is out is not flagged',
      'OwnedSlots.recall',
      'if ($SLOTS.flag($SLOT) !== $FOUND_IDLE) return;',
      'return;',
    ),
    'interleave/recycle',
  ),
  listed(
    mutant('a return that was passed on does not say that it is due', 'Lending.passOn', 'this.matching.callOwnerIfDue($SLOT);', ''),
    'interleave/resize',
  ),
  listed(
    mutant('what is retired and out again is not flagged again', 'Turn.acceptSlots', 'this.owned.recall($SLOT);', '{}'),
    'interleave/recycle',
  ),
  listed(
    mutant('what is taken back outlives the call that wanted it', 'Recycling.recycle', '() => clearTimeout($CALL.timer)', '() => {}'),
    'control/recycle',
  ),
  listed(
    mutant(
      'suspended, nothing that is out is flagged',
      'Standstill.hasCome',
      '$SLOTS.flag($SLOT) === $FOUND_IDLE ? $IDLE : $STATE',
      '$STATE',
    ),
    'interleave/suspend',
  ),
  listed(
    mutant('a return does not see that it is one too many', 'Matching.mustReturn', '$BLOCK.snapshot.isOverfull()', 'false'),
    'interleave/resize',
  ),
  listed(
    mutant(
      'a lease that is over is revoked',
      'OwnedSlots.revoke',
      'if (!this.$BLOCK.slots.revoke($SLOT, $LEASE)) return false;',
      'this.$BLOCK.slots.revoke($SLOT, $LEASE);',
    ),
    'interleave/revoke',
  ),
  listed(mutant('what was revoked is still for a job', 'Slots.revoke', 'this.setTag($SLOT, 0);', '')),
  listed(
    mutant(
      'whatever is out in a slot is revoked',
      'Slots.revoke',
      'if (!this.seize($SLOT, $LEASE)) return false;',
      'if (slotState(this.load($SLOT)) !== LEASED || !this.seize($SLOT, leaseOf(this.load($SLOT)))) return false;',
    ),
    'interleave/revoke',
  ),
  listed(
    mutant(
      'the owner stores what it keeps of its permits',
      'Words.lower',
      'if (Atomics.compareExchange(this.$WORDS, $ALLOWED, $SEEN, $MOST) === $SEEN) return true;',
      'Atomics.store(this.$WORDS, $ALLOWED, $MOST); return true;',
    ),
    'interleave/permits',
  ),
  listed(
    mutant(
      'no permit is allowed before it is said to be lost',
      'Words.lose',
      '{ Atomics.store(this.$WORDS, LOST, 1); Atomics.store(this.$WORDS, ALLOWED, 0); }',
      '{ Atomics.store(this.$WORDS, ALLOWED, 0); Atomics.store(this.$WORDS, LOST, 1); }',
    ),
    'interleave/permits',
  ),
  listed(mutant('a loss of permits that was begun is not finished', 'Words.takeOver', 'if ($LOST) this.lose();', ''), 'interleave/permits'),
  listed(
    mutant('a report has the number of the one before', 'Words.nextSeq', 'return ++this.$FLOATS[$SEQ];', 'return this.$FLOATS[$SEQ];'),
    'docs/state-machines',
  ),
  listed(
    mutant('a job is cancelled before its reason is sent', 'RunnerThread.cancel', 'this.port.postMessage($MESSAGE);', ''),
    'interleave/seat',
  ),
  listed(mutant('a seat keeps the cancel of the last job', 'Seat.reset', 'Atomics.store(this.$WORDS, CANCEL_WORD, $GOES_ON);', '')),
  listed(mutant('a report stays half written', 'Seat.endReport', '($REPORT + 1) | 0', '$REPORT | 0')),
  listed(mutant('half a report is read', 'Seat.reportAfter', 'isWriting($REPORT)', 'false')),
];
