// A small pool for races: its control block made by the shipped code, and what must hold when everyone has gone.
import type { Load, NamedScenario, Outcome, Scenario } from './explorer/scenario.ts';
import { scenario } from './explorer/testing.ts';
import { poolWords } from './words.ts';

type Modules = typeof import('../../src/shared/words/control-block.ts') &
  typeof import('../../src/shared/words/bell.ts') &
  typeof import('../../src/shared/lending/lending.ts') &
  typeof import('../../src/shared/waiting/blocking.ts') &
  typeof import('../../src/shared/waiting/cancellation.ts') &
  typeof import('../../src/shared/lending/repair.ts') &
  typeof import('../../src/shared/pool/pool-base.ts') &
  typeof import('../../src/shared/observing/observation.ts') &
  typeof import('../../src/shared/observing/knots.ts') &
  typeof import('../../src/main/turn/turn.ts') &
  typeof import('../../src/main/steering/recycling.ts') &
  typeof import('../../src/main/breaker/probes.ts') &
  typeof import('../../src/main/threads/one-shot-calls.ts');

export interface PoolCode extends Modules {
  readonly slots: typeof import('../../src/shared/words/slot.ts');
  readonly cells: typeof import('../../src/shared/words/line.ts');
  readonly state: typeof import('../../src/shared/words/state.ts');
  readonly layout: typeof import('../../src/shared/layout.ts');
}

export interface PoolMemory {
  readonly buffer: SharedArrayBuffer;
  /** For each slot, who is using it: number of the thread + 1, or 0. */
  readonly inside: Int32Array;
  /** Order of events: [0] the last instant, [1] how many were served in line; then, for each of those, when its join began and ended. */
  readonly served: Int32Array;
  /** For each cell, when the join of its waiter began and ended. */
  readonly joined: Int32Array;
  /** For whatever else a scenario wants to see. Plain. */
  readonly notes: Int32Array;
}

async function poolCode(load: Load): Promise<PoolCode> {
  const shared = [
    'words/control-block',
    'words/bell',
    'lending/lending',
    'waiting/blocking',
    'waiting/cancellation',
    'lending/repair',
    'pool/pool-base',
    'observing/observation',
    'observing/knots',
  ].map((name) => `shared/${name}`);
  const parts = [...shared, 'main/turn/turn', 'main/steering/recycling', 'main/breaker/probes', 'main/threads/one-shot-calls'];
  return {
    ...Object.assign({}, ...(await Promise.all(parts.map((name) => load<object>(`${name}.ts`))))),
    slots: await load('shared/words/slot.ts'),
    cells: await load('shared/words/line.ts'),
    state: await load('shared/words/state.ts'),
    layout: await load('shared/layout.ts'),
  };
}

export interface PoolSize {
  slots?: number;
  /** As many may be used at first. Default: all of them. */
  max?: number;
  /** Threads that are attached, besides the owner. Default: as many as the scenario has, without one called owner. */
  threads?: number;
  /** Slots that are EMPTY at first, the last ones. */
  empty?: number;
  maxWaiting?: number;
  maxUses?: number;
  /** Who has borrowed the first slots already: number of the thread for each. Keeps schedules short. */
  held?: readonly number[];
  /** Who stands in line already, in this order: the first in cell 0, and so on. */
  waiting?: readonly number[];
  /** Cells that have been left again. */
  left?: readonly number[];
  /** Versions, tickets and epochs begin just before they wrap. */
  nearEnd?: boolean;
  /** The state word. */
  state?: (code: PoolCode) => number;
}

const quiet = { served() {}, called() {}, lookUp() {} };
const shared = (length: number): Int32Array => new Int32Array(new SharedArrayBuffer(4 * length));

const poolOf =
  (size: PoolSize & { threads: number }) =>
  ({ code }: { code: PoolCode }): PoolMemory => {
    const {
      slots = 1,
      max = slots,
      threads,
      empty = 0,
      maxWaiting = 2,
      maxUses = 0,
      held = [],
      waiting = [],
      left = [],
      nearEnd = false,
      state,
    } = size;
    const block = code.ControlBlock.create({
      poolId: 1,
      min: 0,
      max,
      ceiling: slots,
      maxThreads: threads,
      maxWaiting,
      acquireTimeout: 0,
      maxUses,
      features: 0,
    });
    for (let thread = 0; thread <= threads; thread++) block.threads.occupy(thread, 100 + thread);
    const { words, layout } = block;
    if (nearEnd) {
      words[code.layout.LINE_WORD] = -1 << 17;
      words[code.layout.TICKET_WORD] = 0x7fff_ffff;
      for (let slot = 0; slot < slots; slot++) words[block.slots.at(slot)] |= -1 << 14;
      for (let cell = 0; cell < layout.cellCount; cell++) words[layout.cells + cell] |= -1 << 23;
    }
    for (let slot = 0; slot < slots - empty; slot++) {
      block.slots.reserve(slot);
      block.slots.toIdle(slot);
      if (held[slot] === undefined) continue;
      block.slots.borrow(slot, code.slots.leasedTo(held[slot]));
    }
    const served = shared(128);
    const joined = shared(2 * layout.cellCount);
    for (const [cell, thread] of waiting.entries()) {
      joined[2 * cell] = ++served[0];
      joined[2 * cell + 1] = ++served[0];
      const lending = new code.Lending(block, thread, quiet);
      lending.join(0);
      lending.match();
    }
    for (const cell of left) new code.Lending(block, waiting[cell], quiet).leave(cell);
    if (state !== undefined) block.state.set(state(code));
    return { buffer: block.buffer, inside: shared(slots), served, joined, notes: shared(16) };
  };

type Race = Partial<Scenario<PoolCode, PoolMemory>> & Pick<Scenario<PoolCode, PoolMemory>, 'threads'>;

/**
 * A scenario with a pool. Unless it says otherwise, nobody's sleep ends without a ring: what is owed to a timeout shows as a deadlock.
 */
export function poolRace(file: string, name: string, size: PoolSize, race: Race): NamedScenario<PoolCode, PoolMemory> {
  const threads = size.threads ?? Object.keys(race.threads).filter((thread) => thread !== 'owner').length;
  return scenario(file, name, {
    code: poolCode,
    setup: poolOf({ ...size, threads }),
    timeouts: [],
    after: atRest,
    words: poolWords,
    ...race,
  });
}

/**
 * Everyone has gone: every slot is idle (or was never made), every cell free, the line empty and served in order, nobody uses anything.
 */
export function atRest({ assert, code, shared }: Outcome<PoolCode, PoolMemory>): void {
  const block = code.ControlBlock.attach(shared.buffer);
  const { EMPTY, IDLE, SLOT_STATES, slotState } = code.slots;
  for (let slot = 0; slot < block.slots.count; slot++) {
    const state = slotState(block.slots.load(slot));
    assert(state === IDLE || state === EMPTY, `slot ${slot} is lost: ${SLOT_STATES[state]}`);
    assert(shared.inside[slot] === 0, `slot ${slot} is still in use`);
  }
  const { CELL_STATES, cellState, FREE } = code.cells;
  for (let cell = 0; cell < block.line.count; cell++) {
    const state = cellState(block.line.load(cell));
    assert(state === FREE, `cell ${cell} is lost: ${CELL_STATES[state]}`);
  }
  assert(code.cells.isLineEmpty(block.line.loadLine()), 'the line says that somebody is there: no fast path any more');
  // With two slots, who was served first need not be the first to say so.
  if (block.slots.count === 1) inOrder(shared.served, assert);
}

/**
 * Whoever had joined before another began to was served first. Who joined at the same time may be served in either order, whatever the
 * tickets.
 */
function inOrder(served: Int32Array, assert: (ok: boolean, why: string) => void): void {
  for (let late = 1; late < served[1]; late++)
    for (let early = 0; early < late; early++)
      assert(
        served[3 + 2 * late] > served[2 + 2 * early],
        `number ${early + 1} was served before number ${late + 1}, who was in line already`,
      );
}
