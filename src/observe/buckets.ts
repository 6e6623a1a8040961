/** Histograms of the control block as others have them: fewer buckets, in seconds, that only grow. */
import type { Buckets } from '../shared/observing/observed.ts';

/** A histogram: `counts` has one more than `bounds`, for what is above all of them. */
export interface Distribution {
  /** In seconds, each the upper end of its bucket. */
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  /** Reckoned from the middles of the finer buckets: at most 6.25 % off. */
  readonly sum: number;
  readonly count: number;
}

/** The first microsecond of a bucket: eight buckets to each power of two. */
function startOf(bucket: number): number {
  return bucket < 8 ? bucket : (8 + (bucket % 8)) * 2 ** (Math.floor(bucket / 8) - 1);
}

/** In ms. */
export function middleOf(bucket: number): number {
  return (startOf(bucket) + startOf(bucket + 1) - 1) / 2 / 1000;
}

/** Powers of two microseconds, every so many: 2^`first`, 2^(`first` + `step`) ... to 2^`last`. In seconds. */
export function powers(first: number, last: number, step: number): number[] {
  const bounds: number[] = [];
  for (let power = first; power <= last; power += step) bounds.push(2 ** power / 1e6);
  return bounds;
}

/** A histogram that counts on where a word of 32 bits comes round. */
export class Growing {
  #last: Buckets | undefined;
  readonly counts = new Float64Array(320);

  grow(buckets: Buckets): void {
    for (const [bucket, count] of buckets.entries()) this.counts[bucket] += (count - (this.#last?.[bucket] ?? 0)) >>> 0;
    this.#last = buckets;
  }

  /** `zeros`: how many more there were of no duration at all. */
  read(bounds: readonly number[], zeros = 0): Distribution {
    const counts = new Array<number>(bounds.length + 1).fill(0);
    counts[0] = zeros;
    let count = zeros;
    let sum = 0;
    let at = 0;
    for (const [bucket, many] of this.counts.entries()) {
      while (at < bounds.length && startOf(bucket) >= bounds[at] * 1e6) at++;
      counts[at] += many;
      count += many;
      sum += (many * middleOf(bucket)) / 1000;
    }
    return { bounds, counts, sum, count };
  }
}

/** Percentiles of what has come since an earlier look, in ms; undefined: nothing has. */
export function percentilesOf(counts: Float64Array, shares: readonly number[]): number[] | undefined {
  const total = counts.reduce((sum, each) => sum + each, 0);
  if (total === 0) return undefined;
  return shares.map((share) => {
    let left = Math.ceil(total * share);
    for (const [bucket, count] of counts.entries()) {
      left -= count;
      if (left <= 0 && count > 0) return middleOf(bucket);
    }
    return 0;
  });
}
