import { lowest, type Point, run, type Strategy, threadOf } from '../choice.ts';

/** Follows a recorded schedule; after its end, everyone runs on in order. */
export interface ReplayOptions {
  /** Pairs of (choice, operations), from schedule-text.ts. */
  segments: readonly number[];
}

const S = { at: 0, used: 1, over: 2 } as const;

export class Replay implements Strategy {
  readonly scripted = true;
  readonly #s: Int32Array;
  readonly #segments: readonly number[];

  constructor(state: Int32Array, options: ReplayOptions) {
    this.#s = state;
    this.#segments = options.segments;
  }

  begin(): void {
    this.#s[S.at] = -1;
    this.#s[S.used] = 0;
  }

  pick(point: Point): number {
    const s = this.#s;
    const segments = this.#segments;
    const at = s[S.at];
    // `used` is the step at which the segment began.
    if (at >= 0 && at * 2 < segments.length && segments[at * 2] === run(point.current) && point.step - s[S.used] < segments[at * 2 + 1]) {
      return point.current;
    }
    const next = at + 1;
    s[S.at] = next;
    s[S.used] = point.step;
    if (next * 2 >= segments.length) return point.current >= 0 ? point.current : lowest(point.runnable);
    const choice = segments[next * 2];
    const thread = 1 << threadOf(choice);
    const allowed = choice === run(threadOf(choice)) ? point.runnable : choice & 0x100 ? point.expirable : point.mortal;
    if ((allowed & thread) === 0)
      throw new Error(`The schedule cannot be followed: its part ${next + 1} is not possible at step ${point.step}`);
    return choice;
  }

  end(): boolean {
    return false;
  }
}
