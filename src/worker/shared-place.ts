/**
 * Waiters of one thread that share one place in the pool's line, for what needs a resource only for a moment: what one of them is granted
 * may serve those behind it as well. Threads take turns so, however many waiters they have. Each counts among those that wait, and has the
 * pool's `acquireTimeout`.
 */
import { now } from '../shared/clock.ts';
import { COUNTER_TIMED_OUT } from '../shared/layout.ts';
import { clearTimeout, setTimeout } from '../shared/node.ts';
import type { Acquiring, Side } from '../shared/pool/acquiring.ts';
import type { Refusals } from '../shared/pool/refusals.ts';
import type { Standing } from '../shared/waiting/waiters.ts';
import type { ControlBlock } from '../shared/words/control-block.ts';

export interface Sharer<R> {
  /** It has the resource now, and whatever else it takes along. Must not throw. */
  granted(resource: R): void;
  /** It gets none, and waits no more. */
  refused(error: unknown): void;
}

/** What a pool hands out for a slot, and takes back. */
export interface HandOuts<R> {
  handOut(slot: number): R;
  giveBack(slot: number): void;
}

export class SharedPlace<R> {
  readonly #block: ControlBlock;
  readonly #me: number;
  readonly #acquiring: Acquiring;
  readonly #refusals: Refusals;
  readonly #side: Side;
  readonly #handOuts: HandOuts<R>;
  /** The first one's turn is next. */
  readonly #waiting: WaitingSharer<R>[] = [];
  /** The place, while there is one. */
  #standing: Standing | undefined;
  /** What the shared word says. */
  #behind = 0;

  constructor(block: ControlBlock, me: number, acquiring: Acquiring, refusals: Refusals, side: Side, handOuts: HandOuts<R>) {
    this.#block = block;
    this.#me = me;
    this.#acquiring = acquiring;
    this.#refusals = refusals;
    this.#side = side;
    this.#handOuts = handOuts;
  }

  /** How many wait for each resource that the pool may have. */
  get waitingForEach(): number {
    return this.#waiting.length / this.#block.limits.max;
  }

  /** Waits behind the others. It may be granted something, or refused, at once; undefined: there was no room. */
  wait(sharer: Sharer<R>): WaitingSharer<R> | undefined {
    if (this.#waiting.length > 0) {
      try {
        this.#acquiring.assertRoom();
      } catch (error) {
        sharer.refused(error);
        return undefined;
      }
    }
    const waiting = new WaitingSharer(this, sharer, this.#block.constants.acquireTimeout);
    this.#waiting.push(waiting);
    this.#stand();
    return waiting;
  }

  /** The one whose turn is next, if it `fits`. It waits no more, for the time being. */
  takeAlong(fits: (sharer: Sharer<R>) => boolean): WaitingSharer<R> | undefined {
    const [first] = this.#waiting;
    if (first === undefined || !fits(first.sharer)) return undefined;
    this.#waiting.shift();
    first.isAlong = true;
    this.#changed();
    return first;
  }

  /** It waits again, before all others. */
  back(waiting: WaitingSharer<R>): void {
    this.#waiting.unshift(waiting);
    this.#stand();
  }

  /** It waits no more. */
  remove(waiting: WaitingSharer<R>): void {
    const at = this.#waiting.indexOf(waiting);
    if (at === -1) return;
    this.#waiting.splice(at, 1);
    this.#changed();
  }

  timedOut(timeout: number): Error {
    this.#side.countOne(COUNTER_TIMED_OUT);
    return this.#refusals.timedOut(timeout);
  }

  recordWait(ms: number): void {
    this.#block.waitTimes.record(ms);
  }

  // ── the place

  /** Where one waits, there is a place. */
  #stand(): void {
    while (this.#standing === undefined && this.#waiting.length > 0) {
      let got: number | Standing;
      try {
        got = this.#acquiring.stand(this);
      } catch (error) {
        this.#waiting.shift()!.refused(error);
        continue;
      }
      if (typeof got === 'number') this.#grant(got);
      else this.#standing = got;
    }
    this.#changed();
  }

  #grant(slot: number): void {
    const first = this.#waiting.shift();
    this.#changed();
    if (first === undefined) this.#handOuts.giveBack(slot);
    else first.granted(this.#handOuts.handOut(slot));
  }

  /** See `Stander`. */
  granted(slot: number): void {
    this.#standing = undefined;
    this.#grant(slot);
    this.#stand();
  }

  /** See `Stander`. Each of the others hears of its own refusal. */
  refused(error: unknown): void {
    this.#standing = undefined;
    this.#waiting.shift()?.refused(error);
    this.#stand();
  }

  #changed(): void {
    const { length } = this.#waiting;
    if (length === 0 && this.#standing?.leave()) this.#standing = undefined;
    const behind = Math.max(0, length - 1);
    if (behind === this.#behind) return;
    this.#behind = behind;
    this.#block.threads.setBehind(this.#me, behind);
  }
}

export class WaitingSharer<R> {
  readonly sharer: Sharer<R>;
  readonly #place: SharedPlace<R>;
  readonly #since = now();
  readonly #timer: NodeJS.Timeout | undefined;
  /** It was taken along, and does not wait. */
  isAlong = false;
  /** It has begun, or been refused. */
  #isOver = false;

  constructor(place: SharedPlace<R>, sharer: Sharer<R>, timeout: number) {
    this.#place = place;
    this.sharer = sharer;
    if (timeout > 0) this.#timer = setTimeout(() => this.#timeOut(timeout), timeout);
  }

  /** What serves it is at it now. False: it is not to be served there any more, as it was served elsewhere, or has waited for too long. */
  begin(): boolean {
    if (this.#isOver) return false;
    this.#end();
    this.#place.remove(this);
    return true;
  }

  /** It was taken along, and has waited there for too long: it waits in the line again. Until it is served it may still begin. */
  back(): void {
    if (this.#isOver || !this.isAlong) return;
    this.isAlong = false;
    this.#place.back(this);
  }

  /** It waits no longer, and is told nothing. Without effect once it has been granted something, begun, or been refused. */
  leave(): void {
    if (this.#isOver) return;
    this.#end();
    this.#place.remove(this);
  }

  /** By the place. */
  granted(resource: R): void {
    this.#end();
    this.sharer.granted(resource);
  }

  /** By the place. */
  refused(error: unknown): void {
    this.#end();
    this.sharer.refused(error);
  }

  #timeOut(timeout: number): void {
    const error = this.#place.timedOut(timeout);
    this.#place.remove(this);
    this.refused(error);
  }

  #end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#place.recordWait(now() - this.#since);
  }
}
