// What one thread of a scenario does with the pool, in the shipped code, and what it can see go wrong while it does.
import type { Context } from './explorer/scenario.ts';
import type { PoolCode, PoolMemory } from './pool.ts';

export type PoolContext = Context<PoolCode, PoolMemory>;
export type Lending = InstanceType<PoolCode['Lending']>;

/** Number of the thread in the pool. Thread 0 of the scenario is number 1: number 0 is the owner. */
export const numberOf = (context: PoolContext): number => (context.name === 'owner' || context.name === 'repair' ? 0 : context.index + 1);

/** Less than any slot. */
export const NO_SLOT = -1;

export class Actor {
  readonly lending: Lending;
  readonly me: number;
  protected readonly context: PoolContext;

  constructor(context: PoolContext, listener = { served() {}, called() {}, lookUp() {} }) {
    const { code, shared } = context;
    this.context = context;
    this.me = numberOf(context);
    const block = code.ControlBlock.attach(shared.buffer);
    this.lending = new code.Lending(block, this.me, listener);
    adopt(context, this.lending);
  }

  /** Waits in line if nothing is idle, asleep. A slot, or NO_SLOT if it was sent away or has waited for too long. */
  acquire(timeout = 0): number {
    const slot = this.tryBorrow();
    return slot === this.context.code.cells.NONE ? this.wait(this.join(), timeout) : slot;
  }

  /** The fast path. Nobody may be in line all the while that it takes. */
  tryBorrow(): number {
    const before = this.#waiting();
    const slot = this.lending.tryBorrow();
    if (slot !== this.context.code.cells.NONE) {
      const after = this.#waiting();
      for (const [cell, word] of before) this.context.assert(after.get(cell) !== word, `passed the waiter in cell ${cell}`);
    }
    return slot;
  }

  /** Cells that wait, as they are. Plain reads: nobody runs in between. */
  #waiting(): Map<number, number> {
    const { cellState, WAITING } = this.context.code.cells;
    const { layout, words } = this.lending.block;
    const waiting = new Map<number, number>();
    for (let cell = 0; cell < layout.cellCount; cell++) {
      const word = words[layout.cells + cell];
      if (cellState(word) === WAITING) waiting.set(cell, word);
    }
    return waiting;
  }

  /** Stands in line, and has what is idle handed out. */
  join(): number {
    const began = instant(this.context);
    const cell = this.lending.join(0);
    joined(this.context, cell, began);
    this.context.assert(cell !== this.context.code.cells.NONE, 'there is no cell left');
    this.lending.match();
    return cell;
  }

  wait(cell: number, timeout = 0): number {
    const sleeper = { assertOwnerAlive() {}, assertGoesOn() {}, instead: () => -1, beforeLeaving() {}, cellNow: () => cell };
    const outcome = this.context.code.sleepInLine(this.lending, cell, timeout, sleeper);
    if (outcome.kind !== 'served') return NO_SLOT;
    served(this.context, cell);
    return outcome.slot;
  }

  /** Uses a slot, and sees that nobody else does. */
  use(slot: number): void {
    use(this.context, slot);
  }

  release(slot: number): void {
    this.lending.giveBack(slot);
  }

  /** Uses it and gives it back, if it got one. */
  spend(slot: number): void {
    if (slot < 0) return;
    this.context.assert(this.lending.holds(slot), `slot ${slot} was not there to be picked up`);
    this.use(slot);
    this.release(slot);
  }

  /** Acquires, uses and releases. */
  round(): void {
    const slot = this.acquire();
    this.context.assert(slot >= 0, `no slot but ${slot}`);
    this.spend(slot);
  }
}

/** What setup says we have borrowed. Plain reads: not part of the race. */
export function adopt({ code }: PoolContext, { block, leases, serials, me }: Lending): void {
  for (let slot = 0; slot < leases.length; slot++) {
    const word = block.words[block.slots.at(slot)];
    if (code.slots.slotState(word) !== code.slots.LEASED || code.slots.slotThread(word) !== me) continue;
    leases[slot] = code.slots.leaseOf(word);
    serials[slot] = 1;
  }
}

export function use({ assert, name, index, shared, step }: PoolContext, slot: number): void {
  assert(shared.inside[slot] === 0, `slot ${slot} is with thread ${shared.inside[slot] - 1} already`);
  shared.inside[slot] = index + 1;
  step(`uses slot ${slot}`);
  assert(shared.inside[slot] === index + 1, `slot ${slot} was taken from ${name} in the middle of its use`);
  shared.inside[slot] = 0;
}

// ── the order of events, kept in plain words: nobody runs between an operation and these

export function instant({ shared }: PoolContext): number {
  return ++shared.served[0];
}

/** To be said as soon as it waits. */
export function joined(context: PoolContext, cell: number, began: number): void {
  if (cell < 0) return;
  context.shared.joined[2 * cell] = began;
  context.shared.joined[2 * cell + 1] = instant(context);
}

/** To be said before anything else happens to the slot, or to the cell. */
export function served({ shared }: PoolContext, cell: number): void {
  const at = 2 + 2 * shared.served[1]++;
  shared.served[at] = shared.joined[2 * cell];
  shared.served[at + 1] = shared.joined[2 * cell + 1];
}

// ── bodies

/** Leaves the line at once; or uses what it was given. */
export const leave =
  (cell: number) =>
  (context: PoolContext): void => {
    const actor = new Actor(context);
    if (!actor.lending.leave(cell)) actor.spend(actor.wait(cell));
  };

/** Leaves the line for good, and passes on what it was given. */
export const cancel =
  (cell: number) =>
  (context: PoolContext): void =>
    void new Actor(context).lending.withdraw(cell);

/** Leaves the line, and comes back behind the others. */
export const comeBack =
  (cell: number) =>
  (context: PoolContext): void => {
    const actor = new Actor(context);
    actor.spend(actor.lending.leave(cell) ? actor.wait(actor.join()) : actor.wait(cell));
  };

export const join = (context: PoolContext): void => {
  const actor = new Actor(context);
  actor.spend(actor.wait(actor.join()));
};

export const rounds =
  (times: number) =>
  (context: PoolContext): void => {
    const actor = new Actor(context);
    // The plain reads of the first borrow come with this step: others may run between them and its compare-exchange.
    context.step('begins');
    for (let i = 0; i < times; i++) actor.round();
  };

/** Gives back what it has held from the start. */
export const release =
  (slot: number) =>
  (context: PoolContext): void =>
    new Actor(context).spend(slot);

/** Has stood in line from the start. */
export const wait =
  (cell: number) =>
  (context: PoolContext): void => {
    const actor = new Actor(context);
    const slot = actor.wait(cell);
    context.assert(slot >= 0, `no slot but ${slot}`);
    actor.spend(slot);
  };
