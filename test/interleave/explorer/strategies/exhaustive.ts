import { count, expire, kill, nth, type Point, type Strategy } from '../choice.ts';

/**
 * Every schedule with at most `preemptions` preemptions and at most `deaths` deaths, depth first.
 * A preemption is a switch away from a thread that could have gone on, or a timeout that fires although somebody could run.
 * Switches from a thread that sleeps, ends or dies are free, so with 0 preemptions there are still all the orders of what blocks.
 */
export interface ExhaustiveOptions {
  preemptions?: number;
  deaths?: number;
  /** The last preemption, and the last death, only at every so manieth place: a part of the schedules, spread over all of them. Default 1. */
  oneIn?: number;
  /** Give up after this many schedules; the result then says that it is not complete. */
  atMost?: number;
}

const S = { preemptions: 0, deaths: 1, at: 2, depth: 3, schedules: 4, places: 5, stack: 8 } as const;

export class Exhaustive implements Strategy {
  readonly #s: Int32Array;
  readonly #preemptions: number;
  readonly #deaths: number;
  readonly #oneIn: number;
  readonly #atMost: number;
  readonly #options: number[] = [];

  constructor(state: Int32Array, options: ExhaustiveOptions) {
    this.#s = state;
    this.#preemptions = options.preemptions ?? 2;
    this.#deaths = options.deaths ?? 0;
    this.#oneIn = options.oneIn ?? 1;
    this.#atMost = options.atMost ?? Number.POSITIVE_INFINITY;
  }

  begin(): void {
    this.#s[S.preemptions] = 0;
    this.#s[S.deaths] = 0;
    this.#s[S.at] = 0;
    this.#s[S.places] = 0;
  }

  pick(point: Point): number {
    const s = this.#s;
    const { current } = point;
    const mayDie = this.#may(this.#deaths - s[S.deaths], point);
    const maySpend = this.#may(this.#preemptions - s[S.preemptions], point);
    if (current >= 0 && !maySpend && !mayDie && !point.free) return current;

    // In a fixed order: go on, switch, let time pass, die.
    const options = this.#options;
    options.length = 0;
    if (current >= 0) options.push(current);
    const costs = current >= 0 && !point.free;
    if (!costs || maySpend) {
      const others = current >= 0 ? point.runnable & ~(1 << current) : point.runnable;
      for (let i = 0, n = count(others); i < n; i++) options.push(nth(others, i));
    }
    const switches = options.length;
    if (maySpend) for (let i = 0, n = count(point.expirable); i < n; i++) options.push(expire(nth(point.expirable, i)));
    const timeouts = options.length;
    if (mayDie) for (let i = 0, n = count(point.mortal); i < n; i++) options.push(kill(nth(point.mortal, i)));

    const chosen = this.#branch(options.length);
    if (chosen >= timeouts) s[S.deaths]++;
    else if (chosen >= switches || (costs && chosen > 0)) s[S.preemptions]++;
    else return options[chosen];
    s[S.places] += point.step;
    return options[chosen];
  }

  /** So many are left, and the last of them may be spent here. Where depends on where the others were spent, so that no place is left out always. */
  #may(left: number, { step }: Point): boolean {
    return left > 1 || (left === 1 && (this.#s[S.places] + step) % this.#oneIn === 0);
  }

  #branch(options: number): number {
    if (options === 1) return 0;
    const s = this.#s;
    const entry = S.stack + 2 * s[S.at];
    if (entry + 2 > s.length) throw new Error('The stack of the exhaustive search is full: the schedules are too long');
    if (s[S.at] === s[S.depth]) {
      s[S.depth]++;
      s[entry] = 0;
      s[entry + 1] = options;
    } else if (s[entry + 1] !== options) {
      throw new Error('The same schedule offered other choices than before: something in the scenario is not deterministic');
    }
    s[S.at]++;
    return s[entry];
  }

  end(): boolean {
    const s = this.#s;
    s[S.schedules]++;
    for (; s[S.depth] > 0; s[S.depth]--) {
      const entry = S.stack + 2 * (s[S.depth] - 1);
      s[entry]++;
      if (s[entry] < s[entry + 1]) return s[S.schedules] < this.#atMost;
    }
    return false;
  }

  /** Nothing is left to try. */
  get complete(): boolean {
    return this.#s[S.depth] === 0;
  }
}
