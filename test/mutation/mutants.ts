/** One wrong condition, order or constant each, in src/shared: what the tests are for. `npm run mutate` makes them one at a time and looks who notices. */
import { type Mutant, mutant } from '../interleave/explorer/mutant.ts';

export interface Listed extends Mutant {
  /** No test fails, and this is why none has to. Checked: if one does fail, the program says so. */
  readonly survives?: string;
}

const SLOT = 'shared/slot.ts';
const LINE = 'shared/line.ts';
const BELL = 'shared/bell.ts';
const STATE = 'shared/state.ts';
const LENDING = 'shared/lending.ts';
const CENSUS = 'shared/census.ts';
const SUCCESSION = 'shared/succession.ts';
const WAITERS = 'shared/waiters.ts';
const REPAIR = 'shared/repair.ts';
const BLOCKING = 'shared/blocking.ts';
const DOORBELL = 'shared/doorbell.ts';
const THREADS = 'shared/threads.ts';
const TALLIES = 'shared/tallies.ts';
const HISTOGRAM = 'shared/histogram.ts';
const BORROWER = 'shared/borrower.ts';
const CONTROL_BLOCK = 'shared/control-block.ts';
const KEEP_ALIVE = 'shared/keep-alive.ts';
const ERRORS = 'shared/errors.ts';
const CLOCK = 'shared/clock.ts';

export const mutants: readonly Listed[] = [
  mutant(
    'a slot picked up loses its flag',
    SLOT,
    'this.#swap(slot, word, lease | FLAG)) return 0;',
    'this.#swap(slot, word, lease)) return 0;',
  ),
  mutant('a slot is taken without a flag', SLOT, 'inState(idle, TAKEN, me) | FLAG', 'inState(idle, TAKEN, me)'),
  mutant('the version of a slot stays', SLOT, '((word & VERSION_MASK) + VERSION_ONE) | 0 | state', '(word & VERSION_MASK) | state'),
  mutant('anybody puts a slot back', SLOT, ' === TAKEN && slotThread(word) === me && ', ' === TAKEN && '),
  mutant('a slot that is taken is not flagged', SLOT, 'case LEASED:\n        case TAKEN:\n', 'case LEASED:\n'),
  mutant('only an unflagged lease is seized', SLOT, ' || this.#grasp(slot, lease | FLAG, inState(lease, CHECKING, 0))', ''),
  mutant('a flagged return expects no flag', SLOT, 'lease | FLAG, nextRound(lease, IDLE)', 'lease, nextRound(lease, IDLE)'),
  mutant('slots are one more than there are', SLOT, 'slot < this.count', 'slot <= this.count'),

  mutant('the high water is one too low', LINE, 'highWaterOf(line), cell + 1)', 'highWaterOf(line), cell)'),
  mutant('a joiner leaves the epoch', LINE, 'nextEpoch(line) | (high', '(line & EPOCH_MASK) | (high'),
  mutant('the version of a cell stays', LINE, '((word & VERSION_MASK) + VERSION_ONE) | 0;', 'word & VERSION_MASK;'),
  mutant('those without a ticket are never served', LINE, 'if (!found && strays)', 'if (found && strays)'),
  mutant('whoever is on the way in is nobody', LINE, 'if (state === JOINING) found = ON_THE_WAY;', ''),
  mutant('a line reopens up to the first cell', LINE, 'this.#publish(this.count - 1)', 'this.#publish(0)'),
  mutant(
    'tickets are compared as if they did not wrap',
    LINE,
    '(counter - this.#words[tickets + cell]) | 0',
    'counter - this.#words[tickets + cell]',
  ),
  mutant('the high water is believed', LINE, 'return Math.min(highWaterOf(line), this.count);', 'return highWaterOf(line);'),
  mutant('one more may wait than may', LINE, '|| this.waiting() < limit', '|| this.waiting() <= limit'),

  mutant('who listens is not notified', BELL, '(SLEEPING | LISTENING)) !== 0', 'SLEEPING) !== 0'),
  mutant('bells are one more than there are', BELL, 'thread >= this.#count', 'thread > this.#count'),
  mutant('a thread that woke still says that it sleeps', BELL, 'Atomics.and(this.#words, at, ~SLEEPING);', ''),

  mutant('a draining pool lets people in', STATE, '(state & (CLOSED | DRAINING)) !== 0', '(state & CLOSED) !== 0'),
  mutant('an open breaker sends nobody away', STATE, 'isClosed(state) || breakerOf(state) === INACTIVE', 'isClosed(state)'),
  mutant(
    'probes do not come back by the owner',
    STATE,
    '(state & RETURNS_GUARDED) !== 0 || breakerOf(state) === RECOVERING',
    '(state & RETURNS_GUARDED) !== 0',
  ),
  mutant('a breaker that moves forgets the rest', STATE, '(word & ~BREAKER_MASK) | to', '(word & 0) | to'),

  mutant(
    'the fast path passes the line',
    LENDING,
    ' || !isLineEmpty(this.#words[LINE_WORD])) return this.#tryBorrowGuarded()',
    ') return this.#tryBorrowGuarded()',
  ),
  mutant('the fast path does not flag', LENDING, 'this.#borrowAnother(FLAG)', 'this.#borrowAnother(0)'),
  mutant('one use more than maxUses', LENDING, 'uses(slot) >= this.#maxUses) this.#slots', 'uses(slot) > this.#maxUses) this.#slots'),
  mutant('a flagged release does not match', LENDING, 'lease)) return;\n    this.match();', 'lease)) return;'),
  mutant('handed in, and nobody told', LENDING, 'if (slots.handIn(slot, lease)) this.callOwner();', 'slots.handIn(slot, lease);'),
  mutant(
    'a cell is freed before its slot is picked up',
    LENDING,
    'const lease = slots.has(slot) ? slots.pickUp(slot, this.me) : 0;\n    line.free(cell, granted);',
    'line.free(cell, granted);\n    const lease = slots.has(slot) ? slots.pickUp(slot, this.me) : 0;',
  ),
  mutant('whoever leaves does not match', LENDING, 'empty.\n    this.match();', 'empty.'),
  mutant('a close is not told who moved', LENDING, 'needed || isClosed(state) || isDraining(state)', 'needed'),
  mutant('anybody hands out what is guarded', LENDING, 'isEvicting(state) || guardsHandOuts(state)', 'isEvicting(state)'),
  mutant('a match that finds nothing flags nothing', LENDING, 'else if (!this.flagAll()) return', 'else return'),
  mutant('granted, and nobody woken', LENDING, 'this.wake(cellThread(first.word));\n        return true;', 'return true;'),
  mutant(
    'a slot that is granted is still on offer',
    CENSUS,
    'state === TAKEN ? this.#granted[slot] === 0 : state !== LEASED',
    'state !== LEASED',
  ),
  mutant('a thread that has left still borrows', LENDING, 'this.#left = CLOSED;', ''),
  mutant('a thread that only borrows never looks up', LENDING, 'LOOK_EVERY = 250', 'LOOK_EVERY = 2_500_000_000'),

  mutant('who was found is not sorted', SUCCESSION, 'if (found > 1) keys', 'if (found < 0) keys'),
  mutant('the youngest first', SUCCESSION, '(AGES - age) * CELLS + cell', 'age * CELLS + cell'),

  mutant('behind one who waits, those who try are not looked at', WAITERS, 'this.#trying === 0 && ', ''),
  mutant('an abort keeps what it was granted', WAITERS, 'this.#lending.withdraw(waiter.cell);', 'this.#lending.leave(waiter.cell);'),
  mutant('a try is not told what the factory said', WAITERS, 'waiter.tries && reason !== REASON_FACTORY', 'waiter.tries'),
  mutant('a waiter that was served keeps the process', WAITERS, 'this.#keepAlive.letGo();', ''),

  mutant('what the dead were granted stays', REPAIR, 'if (slotState(taken) === TAKEN) slots.repossess(slot, taken);', ''),
  mutant('what the dead granted is taken back', REPAIR, ' && !owner.block.census.isGranted(slot)', ''),
  mutant('whom the dead granted is not woken', REPAIR, 'owner.wake(cellThread(word));', '{}'),
  mutant('a line that the dead emptied stays so', REPAIR, 'line.reopen();', ''),

  mutant(
    'a sleeper reads its bell after it looked',
    BLOCKING,
    'const seen = bells.read(lending.me);\n    const outcome = lending.collect(cell);',
    'const outcome = lending.collect(cell);\n    const seen = bells.read(lending.me);',
  ),
  mutant('a sleeper served at the last moment times out', BLOCKING, '? TIMED_OUT : lending.collect(cell)', '? TIMED_OUT : TIMED_OUT'),
  mutant('a sleeper never asks after its owner', BLOCKING, '=== seen) sleeper', '!== seen) sleeper'),

  mutant('looks, then listens', DOORBELL, 'this.listen();\n    this.#heard();', 'this.#heard();\n    this.listen();'),
  mutant('hears after its end', DOORBELL, 'this.#listening = false;\n    if (this.#isOver) return;', 'this.#listening = false;'),

  mutant(
    'the first thread gets the record of the owner',
    THREADS,
    'thread = 1; thread < this.count; thread++) {',
    'thread = 0; thread < this.count; thread++) {',
  ),
  mutant('the owner is counted', THREADS, 'thread = 1; thread < this.count; thread++) if', 'thread = 0; thread < this.count; thread++) if'),

  mutant('what the dead had is never released', TALLIES, 'this.#floats[from + TALLY_RELEASED] = this.#floats[from + TALLY_ACQUIRED];', ''),
  mutant('folded counters count twice', TALLIES, 'this.#floats[from + counter] = 0;', ''),
  mutant('a sum in the middle of a fold', TALLIES, 'if (before & 1 && tries', 'if (before & 2 && tries'),

  mutant('buckets shifted by one', HISTOGRAM, '(exponent - 3)) - 8', '(exponent - 3)) - 7'),
  mutant('a percentile is one too high', HISTOGRAM, 'left <= 0 &&', 'left < 0 &&'),

  mutant('whoever joins beside a close stays', BORROWER, 'isRefusing(state) && lending.leave(cell)', 'state < 0 && lending.leave(cell)'),
  mutant('use gives back what somebody else has borrowed since', BORROWER, 'serials[slot] === serial) this', 'serials[slot] !== 0) this'),
  mutant(
    'a try does not ask the owner',
    BORROWER,
    'lending.match();\n    // The owner says no where there is nothing.\n    lending.callOwner();',
    'lending.match();',
  ),
  mutant('recovery flags nothing', BORROWER, 'this.lending.flagAll();', ''),

  mutant('too few cells', CONTROL_BLOCK, 'constants.maxWaiting + threads + constants.max', 'constants.maxWaiting'),
  mutant('any version will do', CONTROL_BLOCK, 'if (abi !== ABI_VERSION)', 'if (abi === 0)'),
  mutant('a new resource has been used', CONTROL_BLOCK, '+ SLOT_USES] = 0;', '+ SLOT_USES] |= 0;'),

  mutant('the process lives on', KEEP_ALIVE, 'if (--this.#pending === 0)', 'if (--this.#pending < 0)'),
  mutant('the process ends while one of two is pending', KEEP_ALIVE, 'if (--this.#pending === 0)', 'if (--this.#pending >= 0)'),

  mutant('errors within errors without end', ERRORS, 'if (budget.left-- === 0)', 'if (budget.left-- === Number.NEGATIVE_INFINITY)'),
  mutant(
    'the class of the language is lost',
    ERRORS,
    'if (error instanceof type) return name;',
    'if (error instanceof type) return String(error);',
  ),
  mutant('stamps do not wrap', CLOCK, '(stamp() - stamped) | 0', 'stamp() - stamped'),
  mutant('each thread has a clock of its own', CLOCK, 'return origin + performance.now();', 'return performance.now() + 0 * origin;'),
];
