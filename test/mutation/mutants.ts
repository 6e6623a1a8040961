/** One wrong condition, order or constant each, in src/shared: what the tests are for. `npm run mutate` makes them one at a time and looks who notices. */
import { type Mutant, mutant } from '../interleave/explorer/mutant.ts';

export interface Listed extends Mutant {
  /** The test file that is to notice, and is asked first: 'interleave/close' is test/interleave/close.test.ts. */
  readonly first: readonly string[];
  /** No test fails, and this is why none has to. Checked: if one does fail, the program says so. */
  readonly survives?: string | undefined;
}

/** The name, what stands in the source, what stands there instead; who is to notice, and why nobody has to. */
type Wrong = readonly [name: string, find: string, replace: string, first?: string, survives?: string];

const UNITS = ['docs/state-machines', 'shared'];

const within = (file: string, ...wrongs: readonly Wrong[]): Listed[] =>
  wrongs.map(([name, find, replace, first, survives]) => ({
    ...mutant(name, file, find, replace),
    first: first === undefined ? UNITS : [first],
    survives,
  }));

export const mutants: readonly Listed[] = [
  ...within(
    'shared/slot.ts',
    ['a slot picked up loses its flag', 'this.swap(slot, word, lease | FLAG)) return 0;', 'this.swap(slot, word, lease)) return 0;'],
    ['a slot is taken without a flag', 'inState(idle, TAKEN, me) | FLAG', 'inState(idle, TAKEN, me)'],
    ['the version of a slot stays', '((word & VERSION_MASK) + VERSION_ONE) | 0 | state', '(word & VERSION_MASK) | state'],
    ['anybody puts a slot back', ' === TAKEN && slotThread(word) === me && ', ' === TAKEN && '],
    ['a slot that is taken is not flagged', 'case LEASED:\n        case TAKEN:\n', 'case LEASED:\n'],
    ['a borrow is not counted', '++this.words[at + SLOT_USES];', ''],
    [
      'a guess is not compared',
      'if (Atomics.compareExchange(this.words, at, idle, leased) !== idle) return false;',
      'Atomics.store(this.words, at, leased);',
    ],
    ['only an unflagged lease is seized', ' || this.grasp(slot, lease | FLAG, inState(lease, CHECKING, 0))', ''],
    ['a flagged return expects no flag', 'lease | FLAG, nextRound(lease, IDLE)', 'lease, nextRound(lease, IDLE)'],
    ['slots are one more than there are', 'slot < this.count', 'slot <= this.count'],
  ),
  ...within(
    'shared/line.ts',
    ['the high water is one too low', 'highWaterOf(line), cell + 1)', 'highWaterOf(line), cell)'],
    ['a joiner leaves the epoch', 'nextEpoch(line) | (high', '(line & EPOCH_MASK) | (high'],
    ['the version of a cell stays', '((word & VERSION_MASK) + VERSION_ONE) | 0;', 'word & VERSION_MASK;'],
    ['those without a ticket are never served', 'if (!found && strays)', 'if (found && strays)'],
    ['whoever is on the way in is nobody', 'if (state === JOINING) found = ON_THE_WAY;', '', 'interleave/join-release'],
    ['a line reopens up to the first cell', 'this.#publish(this.count - 1)', 'this.#publish(0)'],
    [
      'tickets are compared as if they did not wrap',
      '(counter - this.#words[tickets + cell]) | 0',
      'counter - this.#words[tickets + cell]',
    ],
    ['the high water is believed', 'return Math.min(highWaterOf(line), this.count);', 'return highWaterOf(line);'],
    ['one more may wait than may', '|| this.waiting() < limit', '|| this.waiting() <= limit'],
  ),
  ...within(
    'shared/bell.ts',
    ['who listens is not notified', '(SLEEPING | LISTENING)) !== 0', 'SLEEPING) !== 0'],
    ['bells are one more than there are', 'thread >= this.#count', 'thread > this.#count'],
    ['a thread that woke still says that it sleeps', 'Atomics.and(this.#words, at, ~SLEEPING);', ''],
  ),
  ...within(
    'shared/state.ts',
    ['a draining pool lets people in', '(state & (CLOSED | DRAINING)) !== 0', '(state & CLOSED) !== 0'],
    ['an open breaker sends nobody away', 'isClosed(state) || breakerOf(state) === INACTIVE', 'isClosed(state)'],
    [
      'probes do not come back by the owner',
      '(state & RETURNS_GUARDED) !== 0 || breakerOf(state) === RECOVERING',
      '(state & RETURNS_GUARDED) !== 0',
    ],
    ['a breaker that moves forgets the rest', '(word & ~BREAKER_MASK) | to', '(word & 0) | to'],
  ),
  ...within(
    'shared/lending.ts',
    [
      'the fast path passes the line',
      ' | (this.words[LINE_WORD] & NOT_EMPTY)) !== 0) return this.tryBorrowGuarded()',
      ') !== 0) return this.tryBorrowGuarded()',
      'interleave/no-passing',
    ],
    ['the fast path does not flag', 'this.borrowAnother(FLAG)', 'this.borrowAnother(0)', 'main/before-release'],
    ['one use more than maxUses', 'uses(slot) >= this.maxUses) this.slots', 'uses(slot) > this.maxUses) this.slots', 'interleave/max-uses'],
    ['a flagged release does not match', 'lease)) return;\n    this.match();', 'lease)) return;', 'interleave/join-release'],
    [
      'handed in, and nobody told',
      'if (slots.handIn(slot, lease)) this.callOwner();',
      'slots.handIn(slot, lease);',
      'interleave/returns-guarded',
    ],
    [
      'a cell is freed before its slot is picked up',
      'const lease = slots.has(slot) ? slots.pickUp(slot, this.me) : 0;\n    line.free(cell, granted);',
      'line.free(cell, granted);\n    const lease = slots.has(slot) ? slots.pickUp(slot, this.me) : 0;',
      'interleave/death/granted',
    ],
    ['whoever leaves does not match', 'empty.\n    this.match();', 'empty.'],
    ['a close is not told who moved', 'needed || isClosed(state) || isDraining(state)', 'needed', 'interleave/close'],
    [
      'anybody hands out what is guarded',
      'isEvicting(state) || guardsHandOuts(state)',
      'isEvicting(state)',
      'interleave/hand-outs-guarded',
    ],
    ['a match that finds nothing flags nothing', 'else if (!this.flagAll()) return', 'else return', 'interleave/join-release'],
    ['granted, and nobody woken', 'this.wake(cellThread(first.word));\n        return true;', 'return true;', 'interleave/join-release'],
    ['a thread that has left still borrows', 'this.left = CLOSED;', ''],
    ['a return is not remembered', 'this.lastIdle = idle;', ''],
    ['looks are reckoned from the past alone', 'Math.max(time - Math.abs(began), ', '(', 'worker/owner-death'],
    ['few of the first holds are timed', 'begun + Math.min(begun, SAMPLE_EVERY)', 'begun + SAMPLE_EVERY', 'main/stats'],
    ['a thread that only borrows never looks up', 'LOOK_EVERY = 250', 'LOOK_EVERY = 2_500_000_000', 'worker/owner-death'],
  ),
  ...within('shared/census.ts', [
    'a slot that is granted is still on offer',
    'state === TAKEN ? this.#granted[slot] === 0 : state !== LEASED',
    'state !== LEASED',
  ]),
  ...within(
    'shared/succession.ts',
    ['who was found is not sorted', 'if (found > 1) keys', 'if (found < 0) keys', 'interleave/fifo'],
    ['the youngest first', '(AGES - age) * CELLS + cell', 'age * CELLS + cell'],
  ),
  ...within(
    'shared/waiters.ts',
    ['behind one who waits, those who try are not looked at', 'this.#trying === 0 && ', '', 'worker/acquire'],
    ['an abort keeps what it was granted', 'this.#lending.withdraw(waiter.cell);', 'this.#lending.leave(waiter.cell);', 'main/abort'],
    ['a try is not told what the factory said', 'waiter.tries && reason !== REASON_FACTORY', 'waiter.tries', 'main/try-acquire'],
    ['a waiter that was served keeps the process', 'this.#keepAlive.letGo();', '', 'main/exit'],
  ),
  ...within(
    'shared/repair.ts',
    ['what the dead were granted stays', 'if (slotState(taken) === TAKEN) slots.repossess(slot, taken);', '', 'interleave/death/granted'],
    ['what the dead granted is taken back', ' && !owner.block.census.isGranted(slot)', '', 'interleave/death/matcher'],
    ['whom the dead granted is not woken', 'owner.wake(cellThread(word));', '{}', 'interleave/death/matcher'],
    ['a line that the dead emptied stays so', 'line.reopen();', ''],
  ),
  ...within(
    'shared/blocking.ts',
    [
      'a sleeper reads its bell after it looked',
      'const seen = bells.read(lending.me);\n    const outcome = lending.collect(cell);',
      'const outcome = lending.collect(cell);\n    const seen = bells.read(lending.me);',
      'interleave/join-release',
    ],
    [
      'a sleeper served at the last moment times out',
      '? TIMED_OUT : lending.collect(cell)',
      '? TIMED_OUT : TIMED_OUT',
      'interleave/leave-grant',
    ],
    ['a sleeper never asks after its owner', '=== seen) sleeper', '!== seen) sleeper', 'worker/owner-death'],
  ),
  ...within(
    'shared/doorbell.ts',
    ['looks, then listens', 'this.listen();\n    this.#heard();', 'this.#heard();\n    this.listen();'],
    ['hears after its end', 'this.#listening = false;\n    if (this.#isOver) return;', 'this.#listening = false;'],
  ),
  ...within(
    'shared/threads.ts',
    [
      'the first thread gets the record of the owner',
      'thread = 1; thread < this.count; thread++) {',
      'thread = 0; thread < this.count; thread++) {',
    ],
    ['the owner is counted', 'thread = 1; thread < this.count; thread++) if', 'thread = 0; thread < this.count; thread++) if'],
  ),
  ...within(
    'shared/tallies.ts',
    ['what the dead had is never released', 'this.#floats[from + TALLY_RELEASED] = this.#floats[from + TALLY_ACQUIRED];', ''],
    ['folded counters count twice', 'this.#floats[from + counter] = 0;', ''],
    ['a sum in the middle of a fold', 'if (before & 1 && tries', 'if (before & 2 && tries'],
  ),
  ...within(
    'shared/histogram.ts',
    ['buckets shifted by one', '(exponent - 3)) - 8', '(exponent - 3)) - 7'],
    ['a percentile is one too high', 'left <= 0 &&', 'left < 0 &&'],
  ),
  ...within(
    'shared/borrower.ts',
    [
      'whoever joins beside a close stays',
      'isRefusing(state) && lending.leave(cell)',
      'state < 0 && lending.leave(cell)',
      'interleave/close',
    ],
    [
      'use gives back what somebody else has borrowed since',
      'serials[slot] === serial) this',
      'serials[slot] !== 0) this',
      'main/use-and-lease',
    ],
    [
      'a try does not ask the owner',
      'lending.match();\n    // The owner says no where there is nothing.\n    lending.callOwner();',
      'lending.match();',
      'interleave/try-acquire',
    ],
    [
      'recovery flags nothing',
      'this.lending.flagAll();',
      '',
      'interleave/recovering',
      'flagged twice: whoever joins in RECOVERING calls the owner, whose turn flags whatever is out before it leaves anybody waiting (Demand.meet); and where a hook or a strategy wants to see returns, everything is flagged from the moment it is borrowed',
    ],
  ),
  ...within(
    'shared/control-block.ts',
    ['too few cells', 'constants.maxWaiting + threads + constants.max', 'constants.maxWaiting'],
    ['any version will do', 'if (abi !== ABI_VERSION)', 'if (abi === 0)'],
    ['a new resource has been used', '+ SLOT_USES] = 0;', '+ SLOT_USES] |= 0;'],
  ),
  ...within(
    'shared/keep-alive.ts',
    ['the process lives on', 'if (--this.#pending === 0)', 'if (--this.#pending < 0)'],
    ['the process ends while one of two is pending', 'if (--this.#pending === 0)', 'if (--this.#pending >= 0)'],
  ),
  ...within(
    'shared/errors.ts',
    ['errors within errors without end', 'if (budget.left-- === 0)', 'if (budget.left-- === Number.NEGATIVE_INFINITY)'],
    [
      'the class of the language is lost',
      "if (name === 'AggregateError' || Object.hasOwn(BUILT_IN, name)) return name;",
      "if (name === 'AggregateError') return name;",
    ],
  ),
  ...within(
    'shared/clock.ts',
    ['stamps do not wrap', '(stamp() - stamped) | 0', 'stamp() - stamped'],
    ['each thread has a clock of its own', 'return origin + performance.now();', 'return performance.now() + 0 * origin;'],
  ),
];
