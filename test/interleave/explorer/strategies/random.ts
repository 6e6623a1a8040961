import { count, expire, kill, lowest, nth, type Point, type Strategy } from '../choice.ts';
import { Prng } from '../prng.ts';

/**
 * Schedules by seed: schedule i of an exploration is made from `seed + i` alone, so a failure is replayed by that number.
 *
 * 'uniform': before each operation, switch with a probability drawn for this schedule (1/2 ... 1/32), to anyone.
 * 'pct': each thread has a random priority and the highest runs; at `depth` random steps the running thread's priority drops below all others
 *        (Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010).
 * 'mixed': the one or the other, with depths of 1 to 4.
 */
export interface RandomOptions {
  schedules: number;
  seed?: number;
  style?: 'mixed' | 'uniform' | 'pct';
  depth?: number;
  /** At most this many threads die, each at a random step. */
  deaths?: number;
}

const S = {
  rng: 0,
  index: 1,
  length: 2,
  uniform: 3,
  odds: 4,
  kills: 5,
  changes: 6,
  low: 7,
  killAt: 8,
  changeAt: 16,
  priority: 32,
} as const;
const MAX_DEPTH = 16;

export class Random implements Strategy {
  readonly #s: Int32Array;
  readonly #rng: Prng;
  readonly #options: RandomOptions;

  constructor(state: Int32Array, options: RandomOptions) {
    this.#s = state;
    this.#rng = new Prng(state, S.rng);
    this.#options = options;
  }

  begin(): void {
    const s = this.#s;
    const rng = this.#rng;
    const { style = 'mixed', seed = 1, deaths = 0 } = this.#options;
    s[S.kills] = 0;
    s[S.changes] = 0;
    // Schedule 0 runs everyone to its end, in order. Its length is what the random steps are drawn from: part of every exploration, so that
    // a replay by seed, which runs it too, knows the same length.
    if (s[S.index] === 0) return;
    rng.seed(Math.imul(seed + s[S.index] - 1, 0x85ebca6b));
    const span = Math.ceil(s[S.length] * 1.5) + 1;
    for (let i = 0; i < deaths; i++) s[S.killAt + i] = rng.below(span);
    s[S.uniform] = style === 'uniform' || (style === 'mixed' && rng.below(2) === 0) ? 1 : 0;
    s[S.odds] = 1 + rng.below(5);
    if (s[S.uniform] === 1) return;
    const depth = Math.min(this.#options.depth ?? 1 + rng.below(4), MAX_DEPTH);
    s[S.changes] = depth;
    for (let i = 0; i < depth; i++) s[S.changeAt + i] = rng.below(span);
    s[S.low] = 0;
    for (let t = 0; t < 16; t++) s[S.priority + t] = 1 + rng.below(1 << 30);
  }

  pick(point: Point): number {
    const s = this.#s;
    if (s[S.index] === 0) return point.current >= 0 ? point.current : lowest(point.runnable);
    if (point.mortal !== 0 && s[S.kills] < (this.#options.deaths ?? 0) && point.step >= s[S.killAt + s[S.kills]]) {
      s[S.kills]++;
      return kill(this.#any(point.mortal));
    }
    return s[S.uniform] === 1 ? this.#uniform(point) : this.#highest(point);
  }

  #any(mask: number): number {
    return nth(mask, this.#rng.below(count(mask)));
  }

  #uniform(point: Point): number {
    if (point.current < 0 || point.free) return this.#any(point.runnable);
    if (this.#rng.below(1 << this.#s[S.odds]) !== 0) return point.current;
    const others = point.runnable & ~(1 << point.current);
    const n = count(others);
    const k = this.#rng.below(n + count(point.expirable) || 1);
    if (k < n) return nth(others, k);
    return point.expirable === 0 ? point.current : expire(nth(point.expirable, k - n));
  }

  #highest(point: Point): number {
    const s = this.#s;
    for (let i = 0; i < s[S.changes]; i++) {
      if (s[S.changeAt + i] > point.step || point.current < 0) continue;
      s[S.changeAt + i] = 0x7fffffff;
      if (point.expirable !== 0 && this.#rng.below(2) === 0) return expire(this.#any(point.expirable));
      this.yield(point.current);
    }
    let best = lowest(point.runnable);
    for (let rest = point.runnable; rest !== 0; rest &= rest - 1) {
      const t = lowest(rest);
      if (s[S.priority + t] > s[S.priority + best]) best = t;
    }
    return best;
  }

  yield(thread: number): void {
    this.#s[S.priority + thread] = --this.#s[S.low];
  }

  end(steps: number): boolean {
    if (this.#s[S.index] === 0) this.#s[S.length] = steps;
    return this.#s[S.index]++ < this.#options.schedules;
  }
}

/** What to give as `seed` to get schedule `index` of such an exploration as the first. */
export const seedOf = ({ seed = 1 }: RandomOptions, index: number): number => seed + Math.max(0, index - 1);
