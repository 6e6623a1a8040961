/** From slices to one result for each contestant: medians over the rounds, and ratios within them. */
import { BUCKETS, quantile } from './histogram.ts';
import type { Contestant, Setting } from './setting.ts';
import type { Slice } from './slice.ts';

export interface Result extends Setting {
  readonly contestant: Contestant;
  readonly rounds: number;
  /** Over all rounds. */
  readonly operations: number;
  readonly operationsPerSecond: number;
  /** Operations per second of this contestant over cenote's, in the same round; null where cenote did none. */
  readonly timesCenote: number | null;
  /**
   * The time between asking and having, in microseconds. The percentiles and the maximum are over all rounds. Only the percentiles, which
   * come from the histogram, are rounded, by 2.2 %.
   */
  readonly wait: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Each thread's part of the operations, the luckiest thread first. They add up to 1. Empty if there were no operations. */
  readonly shares: readonly number[];
  /** The first share over the last; null where the last thread had nothing. */
  readonly mostOverLeast: number | null;
  /** CPU time of the whole process for one operation, its hold included, in microseconds; null if there were no operations. */
  readonly cpuPerOperation: number | null;
  /** Operations that certainly were overtaken, as a part of all; and by how many others at most. */
  readonly overtaken: { readonly share: number; readonly worst: number };
  /** How often two borrowers had the same slot. */
  readonly clashes: number;
}

export function summarize(setting: Setting, slices: ReadonlyMap<Contestant, readonly Slice[]>): Result[] {
  const ours = slices.get('cenote')!.map(rate);
  return [...slices]
    .filter(([, rounds]) => rounds.length > 0)
    .map(([contestant, rounds]) => summarizeOne(setting, contestant, rounds, ours));
}

function summarizeOne(setting: Setting, contestant: Contestant, rounds: readonly Slice[], ours: readonly number[]): Result {
  const waits = new Float64Array(BUCKETS);
  for (const slice of rounds) for (let bucket = 0; bucket < BUCKETS; bucket++) waits[bucket] += slice.waits[bucket];
  const longest = Math.max(...rounds.map((slice) => slice.longest));
  const waited = sum(waits);
  const operations = sum(rounds.map(operationsOf));
  const ratios = rounds.map((slice, round) => rate(slice) / ours[round]).filter(Number.isFinite);
  const shares = sharesOf(rounds);
  const least = shares.at(-1);
  return {
    ...setting,
    contestant,
    rounds: rounds.length,
    operations,
    operationsPerSecond: median(rounds.map(rate)),
    timesCenote: ratios.length > 0 ? median(ratios) : null,
    wait: {
      p50: Math.min(quantile(waits, 0.5), longest) * 1000,
      p99: Math.min(quantile(waits, 0.99), longest) * 1000,
      max: longest * 1000,
    },
    shares,
    mostOverLeast: least ? shares[0] / least : null,
    cpuPerOperation: operations > 0 ? (sum(rounds.map(({ cpu }) => cpu)) * 1e6) / operations : null,
    overtaken: {
      share: waited > 0 ? sum(rounds.map(({ overtaken }) => overtaken)) / waited : 0,
      worst: Math.max(...rounds.map(({ worst }) => worst)),
    },
    clashes: sum(rounds.map(({ clashes }) => clashes)),
  };
}

/** The luckiest thread's median, the second luckiest's, and so on: not the same threads in every round. */
function sharesOf(rounds: readonly Slice[]): number[] {
  const sorted = rounds.map(({ done }) => done.toSorted((a, b) => b - a));
  const ranks = sorted[0].map((_, rank) => median(sorted.map((done, round) => done[rank] / operationsOf(rounds[round]) || 0)));
  const whole = sum(ranks);
  return whole > 0 ? ranks.map((rank) => rank / whole) : [];
}

const operationsOf = ({ done }: Slice): number => sum(done);
const rate = (slice: Slice): number => operationsOf(slice) / slice.seconds;

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
}
