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

/** In how many buckets the control block counts. */
const FINE = 320;
/** In seconds, by bucket. */
const MIDDLES = Float64Array.from({ length: FINE }, (_, bucket) => middleOf(bucket) / 1000);

/** By bounds: into which of their buckets each fine one falls. */
const places = new WeakMap<readonly number[], Uint8Array>();

function placesIn(bounds: readonly number[]): Uint8Array {
  let found = places.get(bounds);
  if (found === undefined) {
    found = Uint8Array.from({ length: FINE }, (_, bucket) => bounds.filter((bound) => startOf(bucket) >= bound * 1e6).length);
    places.set(bounds, found);
  }
  return found;
}

/** A histogram that counts on where a word of 32 bits comes round. */
export class Growing {
  #last: Buckets = new Uint32Array(FINE);
  readonly counts = new Float64Array(FINE);

  grow(buckets: Buckets): void {
    for (let bucket = 0; bucket < FINE; bucket++) {
      const grown = (buckets[bucket] - this.#last[bucket]) >>> 0;
      if (grown > 0) this.counts[bucket] += grown;
    }
    this.#last = buckets;
  }

  /** `zeros`: how many more there were of no duration at all. */
  read(bounds: readonly number[], zeros = 0): Distribution {
    const counts = new Array<number>(bounds.length + 1).fill(0);
    counts[0] = zeros;
    let count = zeros;
    let sum = 0;
    const at = placesIn(bounds);
    for (let bucket = 0; bucket < FINE; bucket++) {
      const many = this.counts[bucket];
      if (many === 0) continue;
      counts[at[bucket]] += many;
      count += many;
      sum += many * MIDDLES[bucket];
    }
    return { bounds, counts, sum, count };
  }
}
