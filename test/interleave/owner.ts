// The owner of a scenario: the shipped turn (src/main/turn.ts), with a factory, hooks and a destructor that take one step each, and one probe at a time.
import type { TurnEffects, Verdict } from '../../src/main/turn.ts';
import { Actor, type PoolContext } from './actor.ts';
import type { Repairing } from './explorer/scenario.ts';
import type { PoolCode, PoolMemory } from './pool.ts';

/** notes[CHECKED + slot]: the owner has looked at it since it was last handed out. */
export const CHECKED = 8;

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

  constructor(context: PoolContext) {
    super(context, { served() {}, lookUp() {}, called: () => this.turn.request() });
    const { Probes, Turn } = context.code;
    this.#effects = new Effects(this, context);
    const probes: Probes = new Probes(this.lending.block, PROBES);
    this.turn = new Turn(this.lending, probes, this.#effects);
  }

  /** Takes turns until the pool has ended, asleep in between: whenever its bell has rung since it last began, as the shipped owner does. */
  serve(first = (): void => this.turn.request()): void {
    const { bells } = this.lending.block;
    for (let next = first; ; next = () => this.turn.request()) {
      const seen = bells.read(this.me);
      next();
      if (this.turn.life.state === 'ended') return;
      bells.sleep(this.me, seen, this.#effects.looksAgain ? 1 : Number.POSITIVE_INFINITY);
      this.#effects.looksAgain = false;
    }
  }

  /** After each turn. */
  looked(): void {}

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
export function repairByOwner(context: Repairing<PoolCode, PoolMemory>): void {
  const { code, shared, victimIndex } = context;
  const owner = new Owner(context);
  for (const { slot } of code.repair(owner.lending, victimIndex + 1)) {
    shared.inside[slot] = 0;
    owner.turn.orphaned(slot, true);
  }
  owner.turn.request();
}
