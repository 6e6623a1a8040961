// The owner of a scenario: the shipped turn (src/main/turn/turn.ts), with a factory, hooks and a destructor that take one step each, and one probe at a time.
import type { TurnEffects, Verdict } from '../../src/main/turn/effects.ts';
import { Actor, type PoolContext } from './actor.ts';
import type { Repairing } from './explorer/scenario.ts';
import type { PoolCode, PoolMemory } from './pool.ts';
import { type Recycler, recyclerOf } from './recycler.ts';

/** notes[PHASE]: how far a suspension is. */
export const PHASE = 0;
export const SUSPENDED = 1;
export const RESUMED = 2;
/** notes[REVOKED + slot]: it was taken back. */
export const REVOKED = 4;
/** notes[CHECKED + slot]: the owner has looked at it since it was last handed out. */
export const CHECKED = 8;
/** notes[DIED]: number of the thread of whose death the owner is to hear, or 0. See `tellOwner`. */
export const DIED = 12;
/** notes[NONE_LEFT]: there was a moment with no resource at all. */
export const NONE_LEFT = 13;

const PROBES = 1;

type Turn = InstanceType<PoolCode['Turn']>;
type Probes = InstanceType<PoolCode['Probes']>;

class Effects implements TurnEffects {
  readonly imposed = 0;
  /** Moved by a scenario: see `Owner.suspend`. */
  suspended = 0;
  isEmptying = false;
  readonly creating = 0;
  readonly isCreatingEnough = false;
  readonly isAsking = false;
  readonly excess = undefined;
  looksAgain = false;
  readonly #owner: Owner;
  readonly #context: PoolContext;
  readonly #resources: Set<number>;

  constructor(owner: Owner, context: PoolContext) {
    this.#owner = owner;
    this.#context = context;
    const { EMPTY, slotState } = context.code.slots;
    const { words, slots } = owner.lending.block;
    const all = Array.from({ length: slots.count }, (_, slot) => slot);
    // Plain reads: not part of the race. Only the owner makes and destroys.
    this.#resources = new Set(all.filter((slot) => slotState(words[slots.at(slot)]) !== EMPTY));
  }

  announceBreaker(): void {}

  guardReturns(): void {}

  succeeded(wasProbe: boolean): void {
    if (wasProbe) this.#owner.lending.block.state.moveBreaker(this.#context.code.state.ACTIVE);
  }

  failed(error: Error): void {
    this.#context.fail(error.message);
  }

  has(slot: number): boolean {
    return this.#resources.has(slot);
  }

  isEvicted(): boolean {
    return false;
  }

  beforeAcquire(slot: number, then: (verdict: Verdict) => void): void {
    this.#check(slot, 'beforeAcquire');
    then(undefined);
  }

  beforeRelease(slot: number, then: (verdict: Verdict) => void): void {
    this.#owner.use(slot);
    then(undefined);
  }

  create(slot: number): void {
    this.#owner.lending.block.renew(slot);
    this.#check(slot, 'the factory');
    this.#resources.add(slot);
    this.#owner.turn.arrived(slot);
  }

  #check(slot: number, name: string): void {
    this.#owner.use(slot);
    this.#context.shared.notes[CHECKED + slot] = 1;
    this.#context.note(`${name} has passed slot ${slot}`);
  }

  whenCancelled(_slot: number, then: () => void): void {
    then();
  }

  looked(): void {
    this.#owner.looked();
  }

  destroy(slot: number): void {
    this.#owner.use(slot);
    this.#resources.delete(slot);
    if (this.#resources.size === 0) this.#context.shared.notes[NONE_LEFT] = 1;
    this.#owner.lending.block.slots.toEmpty(slot);
    this.#owner.turn.request();
  }

  refill(): void {}

  abandonCreations(): void {}

  damaged(slot: number): void {
    this.#context.fail(`the word of slot ${slot} cannot be what it says`);
  }

  lookAgain(): void {
    this.looksAgain = true;
  }

  leftOpen(): void {}

  ended(): void {}
}

export class Owner extends Actor {
  readonly turn: Turn;
  readonly #effects: Effects;
  readonly #recycler: Recycler;
  #until: 'now' | 'returned' | 'empty' | undefined;
  #hasCome = false;

  constructor(context: PoolContext) {
    super(context, { served() {}, lookUp() {}, called: () => this.turn.request() });
    const { Probes, Turn } = context.code;
    this.#effects = new Effects(this, context);
    const probes: Probes = new Probes(this.lending.block, PROBES);
    this.turn = new Turn(this.lending, probes, this.#effects);
    this.#recycler = recyclerOf(context, this, this.#effects);
  }

  /** After it has looked at its bell: it may have been told of a death. Plain: `tellOwner` rings after it has written. */
  #hear(): void {
    const { notes } = this.context.shared;
    const dead = notes[DIED];
    notes[DIED] = 0;
    if (dead !== 0) bury(this.context, this, dead);
  }

  /** Takes turns until the pool has ended, asleep in between: whenever its bell has rung since it last began, as the shipped owner does. */
  serve(first = (): void => this.turn.request()): void {
    const { bells } = this.lending.block;
    for (let next = first; ; next = () => this.turn.request()) {
      const seen = bells.read(this.me);
      this.#hear();
      next();
      if (this.turn.life.state === 'ended') return;
      bells.sleep(this.me, seen, this.#effects.looksAgain ? 1 : Number.POSITIVE_INFINITY);
      this.#effects.looksAgain = false;
    }
  }

  /** After each turn. */
  looked(): void {
    this.#recycler.looked();
    if (this.#until !== undefined) this.#hasCome ||= this.turn.standstill.hasCome(this.#until);
  }

  /**
   * Suspends the pool, and resumes it when it has come to that: between the two, `notes[PHASE]` is SUSPENDED. Others may run in the middle. `refusing`: as well as
   * with `mode: 'refuse'`.
   */
  suspend(until: 'now' | 'returned' | 'empty', refusing = false): void {
    const { shared, code, step } = this.context;
    const { bells } = this.lending.block;
    this.#until = until;
    this.#effects.isEmptying = until === 'empty';
    this.#effects.suspended = code.state.SUSPENDED | (refusing ? code.state.SUSPENDED_REFUSING : 0);
    for (let next = (): void => this.turn.suspend(); !this.#hasCome; next = () => this.turn.request()) {
      const seen = bells.read(this.me);
      this.#hear();
      next();
      if (this.#hasCome) break;
      bells.sleep(this.me, seen, this.#effects.looksAgain ? 1 : Number.POSITIVE_INFINITY);
      this.#effects.looksAgain = false;
    }
    shared.notes[PHASE] = SUSPENDED;
    for (let i = 0; i < 2; i++) {
      if (until !== 'now') this.#assertNothingIsOut();
      step('is suspended');
    }
    if (until !== 'now') this.#assertNothingIsOut();
    shared.notes[PHASE] = RESUMED;
    this.#until = undefined;
    this.#effects.suspended = 0;
    this.#effects.isEmptying = false;
    this.turn.request();
  }

  /** What is LEASED may be a borrow that is about to undo itself: nothing is in use. */
  #assertNothingIsOut(): void {
    const { assert, shared } = this.context;
    for (const [slot, user] of shared.inside.entries()) assert(user === 0, `slot ${slot} is in use while the pool is suspended`);
  }

  /** Has everything replaced that is there: by the shipped recycling, turn by turn. */
  recycle(): void {
    void this.#recycler.recycle({}, () => {});
  }

  /** Lowers or raises `max`. */
  resize(max: number): void {
    this.lending.block.limits.set(0, max);
    this.turn.request();
  }

  /** Lowers `max`, and serves until there are no more than that. */
  shrinkTo(max: number): void {
    const { bells, snapshot } = this.lending.block;
    for (let next = (): void => this.resize(max); ; next = () => this.turn.request()) {
      const seen = bells.read(this.me);
      next();
      if (snapshot.count().count <= max) return;
      bells.sleep(this.me, seen, Number.POSITIVE_INFINITY);
    }
  }

  /** Takes back what thread `from` has, if it has it: it is not to be used any more. */
  revoke(slot: number, from: number): void {
    const { code, shared } = this.context;
    const word = this.lending.block.slots.load(slot);
    if (code.slots.slotState(word) !== code.slots.LEASED || code.slots.slotThread(word) !== from) return;
    this.turn.owned.revoke(slot, code.slots.leaseOf(word), () => {
      // Its borrower may be in the middle of its use: what it does there counts for nothing.
      shared.inside[slot] = 0;
      shared.notes[REVOKED + slot] = 1;
    });
  }

  close(): void {
    this.serve(() => void this.turn.close());
  }

  drain(): void {
    this.serve(() => void this.turn.drain());
  }
}

/** A daemon: serves for as long as any other thread is there. */
export const serve = (context: PoolContext): void => new Owner(context).serve();

/** When a thread has died, with `orphans: 'release'`. */
export const repairByOwner = (context: Repairing<PoolCode, PoolMemory>): void => repairing(context, () => {});

/** The same; `first`: what the owner does before it hears of the death. */
export function repairing(context: Repairing<PoolCode, PoolMemory>, first: (owner: Owner) => void): void {
  const owner = new Owner(context);
  first(owner);
  bury(context, owner, context.victimIndex + 1);
}

/** When a thread has died, and there is an owner at work: that one hears of it. */
export function tellOwner({ code, shared, victimIndex }: Repairing<PoolCode, PoolMemory>): void {
  shared.notes[DIED] = victimIndex + 1;
  code.ControlBlock.attach(shared.buffer).bells.ring(0);
}

function bury({ code, shared }: PoolContext, owner: Owner, dead: number): void {
  for (const { slot } of code.repair(owner.lending, dead)) {
    shared.inside[slot] = 0;
    owner.turn.owned.orphaned(slot, true);
  }
  owner.turn.request();
}
