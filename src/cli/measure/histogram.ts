/** Durations in logarithmic buckets: 16 for each doubling, so a value read back is within 2.2 % of what was recorded. */

const PER_DOUBLING = 16;
const NS_IN_MS = 1e6;
/** Up to 2^44 ns, almost five hours. */
export const BUCKETS = 44 * PER_DOUBLING;

export function bucketOf(ms: number): number {
  return Math.min(BUCKETS - 1, Math.round(Math.log2(1 + Math.max(0, ms) * NS_IN_MS) * PER_DOUBLING));
}

function durationOf(bucket: number): number {
  return (2 ** (bucket / PER_DOUBLING) - 1) / NS_IN_MS;
}

/** Milliseconds below which `share` (0..1) of what was counted lies; 0 when nothing was. */
export function quantile(counts: ArrayLike<number>, share: number): number {
  let total = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket++) total += counts[bucket];
  let left = Math.ceil(total * share);
  for (let bucket = 0; bucket < BUCKETS; bucket++) if ((left -= counts[bucket]) <= 0) return durationOf(bucket);
  return 0;
}
