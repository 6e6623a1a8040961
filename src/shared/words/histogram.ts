/**
 * Durations in shared buckets, eight to each power of two: a bucket is at most 12.5 % wide, and its middle at most 6.25 % off.
 * From 1 us to 25 days. Any thread records, with one atomic add; only what is slow anyway is recorded (waits), or samples (holds).
 */
import { HISTOGRAM_BUCKETS } from '../layout.ts';
import type { Percentiles } from '../types.ts';

export class Histogram {
  readonly #words: Int32Array;
  readonly #base: number;

  constructor(words: Int32Array, base: number) {
    this.#words = words;
    this.#base = base;
  }

  record(milliseconds: number): void {
    Atomics.add(this.#words, this.#base + bucketOf(milliseconds * 1000), 1);
  }

  /** How many are in each, modulo 2^32. */
  buckets(): Uint32Array {
    const counts = new Uint32Array(HISTOGRAM_BUCKETS);
    for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) counts[bucket] = Atomics.load(this.#words, this.#base + bucket);
    return counts;
  }

  read(): Percentiles {
    const counts = this.buckets();
    let count = 0;
    for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) count += counts[bucket];
    const [p50, p90, p99, max] = middlesAt(counts, [0.5 * count, 0.9 * count, 0.99 * count, count].map(Math.ceil));
    return { count, p50, p90, p99, max };
  }
}

/** In ms: the middles of the buckets in which so many are reached, fewest first. Each is 0 if there are none. */
function middlesAt(counts: Uint32Array, wanted: readonly number[]): number[] {
  const middles = wanted.map(() => 0);
  let reached = 0;
  let next = 0;
  for (let bucket = 0; bucket < HISTOGRAM_BUCKETS && next < wanted.length; bucket++) {
    if (counts[bucket] === 0) continue;
    reached += counts[bucket];
    while (next < wanted.length && reached >= wanted[next]) middles[next++] = middleOf(bucket) / 1000;
  }
  return middles;
}

/** Below 8 us a bucket is one microsecond wide; above, the three bits after the leading one choose the bucket. */
export function bucketOf(microseconds: number): number {
  const whole = Math.max(0, Math.round(microseconds));
  if (whole < 8) return whole;
  const exponent = Math.floor(Math.log2(whole));
  const eighth = Math.floor(whole / 2 ** (exponent - 3)) - 8;
  return Math.min((exponent - 2) * 8 + eighth, HISTOGRAM_BUCKETS - 1);
}

export function middleOf(bucket: number): number {
  if (bucket < 8) return bucket;
  const exponent = Math.floor(bucket / 8) + 2;
  const width = 2 ** (exponent - 3);
  return (8 + (bucket % 8)) * width + (width - 1) / 2;
}
