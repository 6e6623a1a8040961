// What the owner does, in the order in which OwnerPool#turn does it (src/main/pool.ts): on the shipped primitives, with a factory,
// hooks and a destructor that take one step each.

import type { Waiting } from '../../src/shared/words/line.ts';
import { Actor, type PoolContext } from './actor.ts';
import type { Repairing } from './explorer/scenario.ts';
import type { PoolCode, PoolMemory } from './pool.ts';

/** notes[CHECKED + slot]: the owner has looked at it since it was last handed out. */
export const CHECKED = 8;

export class Owner extends Actor {
  ended = false;
  isAllBack = false;
  #again = false;
  #looksAgain = false;
  readonly #probes = new Set<number>();

  constructor(context: PoolContext) {
    super(context, {
      served() {},
      lookUp() {},
      called: () => {
        this.#again = true;
      },
    });
  }

  /** Takes turns until `done`, asleep in between. */
  serveUntil(done: () => boolean): void {
    const { bells } = this.lending.block;
    for (;;) {
      const seen = bells.read(this.me);
      this.turns();
      if (done()) return;
      bells.sleep(this.me, seen, this.#looksAgain ? 1 : Number.POSITIVE_INFINITY);
      this.#looksAgain = false;
    }
  }

  turns(): void {
    do {
      this.#again = false;
      this.#turn();
    } while (this.#again);
  }

  close(): void {
    const { code } = this.context;
    this.lending.block.state.set(code.state.CLOSED);
    this.lending.flagAll();
    this.lending.rejectWaiters(code.cells.REASON_CLOSED);
    this.serveUntil(() => this.ended);
  }

  drain(): void {
    this.lending.block.state.set(this.context.code.state.DRAINING);
    this.lending.flagAll();
    this.serveUntil(() => this.isAllBack);
    this.close();
  }

  #turn(): void {
    const { cells, slots: words, state: states } = this.context.code;
    const { slots, state } = this.lending.block;
    for (let slot = 0; slot < slots.count; slot++)
      if (words.slotState(slots.load(slot)) === words.RETURNED && slots.acceptReturn(slot)) this.#takeBack(slot);
    const word = state.load();
    if (states.isClosed(word)) {
      this.lending.rejectWaiters(cells.REASON_CLOSED);
      this.sweep();
      return;
    }
    if (states.breakerOf(word) === states.INACTIVE) this.lending.rejectWaiters(cells.REASON_UNAVAILABLE);
    else {
      const tries = this.tries();
      if (states.guardsHandOuts(word)) this.prepare();
      else this.lending.serve();
      this.#grow();
      this.refuse(tries);
    }
    if (states.isDraining(word)) this.isAllBack = this.areAllBack();
  }

  /** Closed: every slot is left CHECKING, flagged or EMPTY. */
  protected sweep(): void {
    const { slotState, EMPTY, FOUND_IDLE } = this.context.code.slots;
    const { slots } = this.lending.block;
    let left = 0;
    for (let slot = 0; slot < slots.count; slot++) {
      while (slots.flag(slot) === FOUND_IDLE) if (slots.check(slot)) this.#unmake(slot);
      if (slotState(slots.load(slot)) !== EMPTY) left++;
    }
    this.ended = left === 0;
  }

  #isProbing(): boolean {
    const { breakerOf, RECOVERING } = this.context.code.state;
    return breakerOf(this.lending.block.state.load()) === RECOVERING;
  }

  /** With one probe at a time. */
  #mayHandOut(): boolean {
    return !this.#isProbing() || this.#probes.size === 0;
  }

  /** Guarded: hands out by itself, and sees to it that what is out is seen when it comes back. */
  protected prepare(): void {
    this.prepareIdle();
    // A borrower that read the state before the guard went up may have taken its slot without a flag.
    if (this.lending.hasWaiters() && this.lending.flagAll() && this.#mayHandOut()) this.again();
  }

  protected again(): void {
    this.#again = true;
  }

  /** beforeAcquire. */
  protected prepareIdle(): void {
    const { slotState, IDLE } = this.context.code.slots;
    const { slots } = this.lending.block;
    for (let slot = 0; slot < slots.count && this.lending.hasWaiters(); slot++) {
      if (!this.#mayHandOut()) return;
      if (slotState(slots.load(slot)) !== IDLE || !slots.check(slot)) continue;
      this.#hook(slot, 'beforeAcquire');
      this.#offer(slot);
      this.#again = true;
    }
  }

  #hook(slot: number, name: string): void {
    this.use(slot);
    this.context.shared.notes[CHECKED + slot] = 1;
    this.context.note(`${name} has passed slot ${slot}`);
  }

  #offer(slot: number): void {
    const { state: states } = this.context.code;
    const { slots, state } = this.lending.block;
    if (states.isClosed(state.load())) this.#unmake(slot);
    else if (states.breakerOf(state.load()) === states.INACTIVE || !this.#mayHandOut()) slots.toIdle(slot);
    else if (slots.toTakenByOwner(slot) && this.lending.grant(slot) && this.#isProbing()) this.#probes.add(slot);
  }

  #grow(): void {
    const { slotState, EMPTY } = this.context.code.slots;
    const { block } = this.lending;
    for (let slot = 0; slot < block.slots.count; slot++) {
      if (block.line.waiting() === 0 || !this.#mayHandOut()) return;
      if (slotState(block.slots.load(slot)) !== EMPTY || !block.slots.reserve(slot)) continue;
      block.renew(slot);
      this.#hook(slot, 'the factory');
      this.#offer(slot);
      this.#again = true;
    }
  }

  protected tries(): Waiting[] {
    return this.lending.hasWaiters() ? this.lending.block.line.trying() : [];
  }

  protected refuse(tries: readonly Waiting[]): void {
    const { cellThread, REASON_NOTHING } = this.context.code.cells;
    const { line } = this.lending.block;
    if (tries.length === 0) return;
    if (this.isGrantInFlight()) {
      this.#looksAgain = true;
      return;
    }
    for (const { cell, word } of tries) if (line.fail(cell, word, REASON_NOTHING)) this.lending.wake(cellThread(word));
    this.lending.hasWaiters();
  }

  protected isGrantInFlight(): boolean {
    return this.lending.block.snapshot.isGrantInFlight();
  }

  /** beforeRelease, maxUses, and the verdict on a probe. */
  #takeBack(slot: number): void {
    const { state: states } = this.context.code;
    const { block } = this.lending;
    const wasProbe = this.#probes.delete(slot);
    const { maxUses } = block.constants;
    if (states.isClosed(block.state.load())) return this.#unmake(slot);
    this.use(slot);
    if (maxUses !== 0 && block.uses(slot) >= maxUses) this.#unmake(slot);
    else block.slots.toIdle(slot);
    if (wasProbe) block.state.moveBreaker(states.ACTIVE);
    this.#again = true;
  }

  /** The destructor. */
  #unmake(slot: number): void {
    this.use(slot);
    this.lending.block.slots.toEmpty(slot);
    this.#again = true;
  }

  /** Nobody waits, nothing is out, and what is out will be seen when it comes back. */
  protected areAllBack(): boolean {
    const { FLAGGED, RETURNED, slotState } = this.context.code.slots;
    const { slots } = this.lending.block;
    if (this.lending.hasWaiters()) return false;
    let all = true;
    for (let slot = 0; slot < slots.count; slot++) {
      // One look decides: found idle, it may be borrowed unseen the next moment, and `sweep` deals with that.
      if (slots.flag(slot) === FLAGGED || slotState(slots.load(slot)) === RETURNED) all = false;
    }
    return all;
  }
}

/** A daemon: serves for as long as anybody else is there. */
export const serve = (context: PoolContext): void => new Owner(context).serveUntil(() => false);

/** When a thread has died, with `orphans: 'release'`. */
export function repairByOwner(context: Repairing<PoolCode, PoolMemory>): void {
  const { code, shared, victimIndex } = context;
  const owner = new Owner(context);
  for (const { slot } of code.repair(owner.lending, victimIndex + 1)) {
    shared.inside[slot] = 0;
    owner.lending.block.slots.toIdle(slot);
  }
  owner.turns();
}
