/**
 * Which member may have how many. One ordering of all claims decides: the first claims of each up to its floor, then what is wanted
 * beyond that, level by level (max-min by weight), then what is kept although it is idle. So floors shrink where they add up to too much,
 * no member gets more than it wants while another wants, and what no member wants stays where it is. The same in SQL (engines/postgres-
 * step.ts) and in Lua (engines/redis-step.ts); tests hold the three to each other.
 */

/** Where there are fewer permits than members, a member that has its only one for so long, in ms, comes after those that wait with none. */
export const QUANTUM = 1000;

export interface Claimant {
  readonly id: string;
  /** Needed, what it has included. */
  readonly want: number;
  readonly granted: number;
  readonly floor: number;
  readonly weight: number;
  /** Since when it has something, or waits with nothing, in ms. */
  readonly since: number;
}

interface Claim {
  readonly id: string;
  /** 0: within the floor. 1: wanted. 2: idle. */
  readonly tier: number;
  /** Lower ones are served first. */
  readonly level: number;
  /** 0: it has this one. 1: it has not. 2: it has only this one, and has had it for long. */
  readonly rank: number;
  /** The longest wait comes first; of the members that have had their only one for long, the one that got it last. */
  readonly turn: number;
}

/** The share of each, in the order of the claimants. Together at most `limit`. */
export function sharesOf(claimants: readonly Claimant[], limit: number, now: number): number[] {
  const most = claimants.map((one) => Math.min(Math.max(one.want, one.granted), limit));
  if (most.reduce((sum, count) => sum + count, 0) <= limit) return most;
  const claims = claimants.flatMap((one, index) => Array.from({ length: most[index] }, (_, k) => claimOf(one, k + 1, now)));
  claims.sort(
    (a, b) => a.tier - b.tier || a.level - b.level || a.rank - b.rank || a.turn - b.turn || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0),
  );
  const shares = new Map<string, number>();
  for (const { id } of claims.slice(0, limit)) shares.set(id, (shares.get(id) ?? 0) + 1);
  return claimants.map(({ id }) => shares.get(id) ?? 0);
}

function claimOf({ id, want, granted, floor, weight, since }: Claimant, k: number, now: number): Claim {
  const tier = k <= Math.min(floor, want) ? 0 : k <= want ? 1 : 2;
  const rank = k > granted ? 1 : k > 1 || now < since + QUANTUM ? 0 : 2;
  return { id, tier, level: tier === 0 ? k : k / weight, rank, turn: rank === 2 ? -since : since };
}
