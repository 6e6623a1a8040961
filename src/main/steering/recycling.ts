/**
 * Replacing what exists, while it is in use. First one new resource: as long as the factory fails, the old ones serve on. Then what is out
 * is retired for when it comes back, and idle ones go, a part of the pool at a time where there is no room to make others first, so that
 * there is no moment with none.
 */
import { RecycleTimeoutError } from '../../shared/errors.ts';
import { clearTimeout, setTimeout } from '../../shared/node.ts';
import { checkDuration, limitOf } from '../../shared/options/durations.ts';
import { checkFew } from '../../shared/options/option-names.ts';
import { show } from '../../shared/show.ts';
import type { KeepAlive } from '../../shared/waiting/keep-alive.ts';
import type { ControlBlock } from '../../shared/words/control-block.ts';
import { CHECKING, CREATING, EMPTY, IDLE, slotState } from '../../shared/words/slot.ts';
import { ACTIVE, breakerOf } from '../../shared/words/state.ts';
import type { Settings } from '../options.ts';
import type { Replenisher } from '../resources/replenisher.ts';
import type { Resources } from '../resources/resources.ts';
import type { Turn } from '../turn/turn.ts';
import type { Holds } from './holds.ts';
import { notOpen, Pending } from './pending.ts';

/** Where there is no room, so many parts of the pool go one after the other. */
const PARTS = 10;

/** One call of `recycle`: which resources it still waits for, by slot and generation. */
interface Call {
  readonly left: Map<number, number>;
  readonly arrival: Pending<number>;
  replaced: number;
  timer: NodeJS.Timeout | undefined;
}

export class Recycling<T> {
  readonly #settings: Settings<T>;
  readonly #block: ControlBlock;
  readonly #turn: Turn;
  readonly #resources: Resources<T>;
  readonly #replenisher: Replenisher<T>;
  readonly #holds: Holds<T>;
  readonly #keepAlive: KeepAlive;
  readonly #calls = new Set<Call>();
  /** What is to go, by slot and generation: of all calls, those included whose time is over. */
  readonly #old = new Map<number, number>();
  /** The generation of each slot when the last call came: a later one is new. */
  #generations: number[] = [];
  /** Does it want one more than there is, so that an old one can go? A budget is asked for that, too. */
  wantsOneMore = false;

  constructor(
    settings: Settings<T>,
    block: ControlBlock,
    turn: Turn,
    resources: Resources<T>,
    replenisher: Replenisher<T>,
    holds: Holds<T>,
    keepAlive: KeepAlive,
  ) {
    this.#settings = settings;
    this.#block = block;
    this.#turn = turn;
    this.#resources = resources;
    this.#replenisher = replenisher;
    this.#holds = holds;
    this.#keepAlive = keepAlive;
  }

  /** Rejects with what `recycle` of a pool rejects with. `assertRevocable` throws where nothing can be taken back. */
  async recycle(
    options: { timeout?: number | undefined; revokeAfter?: number | undefined } = {},
    assertRevocable: (revokeAfter: number) => void,
  ): Promise<number> {
    checkFew(options, { of: 'recycle', options: ['timeout', 'revokeAfter'] });
    const { timeout = 0, revokeAfter = 0 } = options;
    checkDuration('timeout', timeout);
    checkDuration('revokeAfter', revokeAfter);
    assertRevocable(limitOf(revokeAfter));
    const { name } = this.#settings;
    if (this.#turn.life.state !== 'open') throw notOpen(name, this.#turn);
    const left = this.#all();
    if (left.size === 0) return 0;
    // The timer ends with its call: what is left after that is retired as it comes back.
    const arrival = new Pending<number>(() => clearTimeout(call.timer)).within(limitOf(timeout), () => {
      const why = `after ${timeout} ms, ${call.left.size} of ${call.left.size + call.replaced} old resources are still there`;
      return new RecycleTimeoutError(`pool ${show(name)}: ${why}. They are replaced as they come back`, name);
    });
    const call: Call = { left, arrival, replaced: 0, timer: undefined };
    if (limitOf(revokeAfter) > 0) call.timer = setTimeout(() => this.#revoke(call), revokeAfter).unref();
    this.#calls.add(call);
    this.#turn.request();
    return this.#keepAlive.during(arrival.promise.finally(() => this.#calls.delete(call)));
  }

  /** Everything that is there, or is being made by what the factory knew until now. */
  #all(): Map<number, number> {
    const { slots } = this.#block;
    const all = new Map<number, number>();
    this.#generations = [];
    for (let slot = 0, { extent } = slots; slot < extent; slot++) {
      const isBeingMade = slotState(slots.load(slot)) === CREATING;
      const generation = this.#block.generation(slot) + (isBeingMade ? 1 : 0);
      this.#generations[slot] = generation;
      if (isBeingMade || this.#resources.has(slot)) all.set(slot, generation);
    }
    for (const [slot, generation] of all) this.#old.set(slot, generation);
    return all;
  }

  #revoke(call: Call): void {
    for (const [slot, generation] of call.left)
      if (this.#resources.has(slot) && this.#block.generation(slot) === generation) {
        this.#turn.owned.retire(slot, 'recycled');
        this.#holds.revokeWhatIsOut(slot, undefined);
      }
  }

  // ── in a turn

  looked(): void {
    this.wantsOneMore = false;
    if (this.#old.size === 0) return;
    for (const call of [...this.#calls]) {
      for (const [slot, generation] of call.left) {
        if (this.#isThere(slot, generation)) continue;
        call.left.delete(slot);
        // One that was never made was not replaced.
        if (this.#block.generation(slot) >= generation) call.replaced++;
      }
      if (call.left.size > 0) continue;
      clearTimeout(call.timer);
      call.arrival.done(call.replaced);
    }
    for (const [slot, generation] of this.#old) if (!this.#isThere(slot, generation)) this.#old.delete(slot);
    // What is made while the pool is to become empty would be destroyed at once.
    if (this.#old.size > 0 && breakerOf(this.#block.state.load()) === ACTIVE && !this.#replenisher.isEmptying) this.#proceed();
  }

  #isThere(slot: number, generation: number): boolean {
    const present = this.#block.generation(slot);
    if (this.#resources.has(slot)) return present === generation;
    const state = slotState(this.#block.slots.load(slot));
    // Its destructor is at work, or it is still being made.
    return (state === CHECKING && present === generation) || (state === CREATING && present < generation);
  }

  #proceed(): void {
    const { slots } = this.#block;
    const idle: number[] = [];
    const out: number[] = [];
    let alive = 0;
    let creating = 0;
    let ending = 0;
    let isAnyNew = false;
    for (let slot = 0, { extent } = slots; slot < extent; slot++) {
      const state = slotState(slots.load(slot));
      if (!this.#resources.has(slot)) {
        if (state === CREATING) creating++;
        else if (state === CHECKING) ending++;
        continue;
      }
      alive++;
      const generation = this.#block.generation(slot);
      if (this.#old.get(slot) === generation) (state === IDLE ? idle : out).push(slot);
      else if (generation > (this.#generations[slot] ?? 0)) isAnyNew = true;
    }
    const isProved = isAnyNew && !this.#replenisher.isFailing;
    this.wantsOneMore = !isProved && creating === 0;
    if (!isProved) return this.#prove(idle, out, creating + ending);
    for (const slot of out) if (!this.#turn.owned.isRetired(slot)) this.#turn.owned.retire(slot, 'recycled');
    const { min, max } = this.#block.limits;
    const { maxCreating } = this.#settings;
    const atOnce = Math.min(Math.max(1, Math.floor(max / PARTS)), maxCreating || max);
    let room = max - alive - creating - ending;
    const isMissing = (): boolean => room > 0 && creating < atOnce && alive - idle.length - out.length + creating < min;
    this.wantsOneMore = isMissing();
    while (this.wantsOneMore && this.#make()) {
      room--;
      creating++;
      this.wantsOneMore = isMissing();
    }
    // Without a permit for another there is no more room than in a pool that is full.
    if (this.wantsOneMore && this.#replenisher.hasToGiveUp) room = 0;
    for (const slot of idle) {
      // One more than has to be; or there is no room for another before this one has gone.
      if (alive - 1 < min && (room > 0 || creating + ending >= atOnce)) return;
      alive--;
      ending++;
      // If it was borrowed a moment ago it goes when it comes back; the next turn counts what is left.
      this.#turn.owned.retire(slot, 'recycled');
      this.#turn.request();
    }
  }

  /** Nothing is given up before the factory has made one: where there is no room, or no permit, for it, at most one. */
  #prove(idle: readonly number[], out: readonly number[], underWay: number): void {
    const { slots, limits, snapshot } = this.#block;
    if (underWay > 0 || this.#replenisher.isBackingOff) return;
    if (snapshot.count().count < limits.max && (this.#make() || !this.#replenisher.hasToGiveUp)) return;
    for (const slot of idle) if (slots.check(slot)) return this.#give(slot);
    // What was idle has been borrowed a moment ago.
    const all = [...out, ...idle];
    if (all.length > 0 && !all.some((slot) => this.#turn.owned.isRetired(slot))) this.#turn.owned.retire(all[0], 'recycled');
  }

  #give(slot: number): void {
    this.#turn.owned.retire(slot, 'recycled');
    this.#turn.owned.toIdle(slot);
  }

  /** False: as many are being made as may be, or there is no slot for it. */
  #make(): boolean {
    const { slots } = this.#block;
    for (let slot = 0, { extent } = slots; slot < extent; slot++)
      if (slotState(slots.load(slot)) === EMPTY && this.#replenisher.makeOne(slot)) return true;
    return false;
  }

  endAll(): void {
    this.wantsOneMore = false;
    this.#old.clear();
    for (const { arrival } of [...this.#calls]) arrival.fail(notOpen(this.#settings.name, this.#turn));
  }
}
