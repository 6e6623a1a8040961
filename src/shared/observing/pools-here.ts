/** The pools that this thread owns or has attached, for a waiter that gives up and wants to know whether it waits for ever. */
import { type FoundKnot, findKnots, type Standing } from './knots.ts';
import type { Observed } from './observed.ts';

const here = new Set<Observed>();

export function addPool(pool: Observed): void {
  here.add(pool);
}

export function removePool(pool: Observed): void {
  here.delete(pool);
}

/** How often knots are looked for before they count as moving. */
const LOOKS = 3;

/**
 * The knots over these pools. The words are read one by one, so what they show together may never have been so: a knot counts when a second reading finds the
 * same, hand-out for hand-out and ticket for ticket. In between, then, all of it was so at one instant.
 */
export function knotsOver(pools: readonly { standing(): Standing }[]): FoundKnot[] {
  let found = findKnots(pools.map((pool) => pool.standing()));
  for (let looks = 1; found.length > 0 && looks < LOOKS; looks++) {
    const before = new Set(found.map(({ signature }) => signature));
    const next = findKnots(pools.map((pool) => pool.standing()));
    if (next.length === before.size && next.every(({ signature }) => before.has(signature))) return next;
    found = next;
  }
  return [];
}

/** The knot that keeps a waiter for this pool from being served, if there is one. It may be in it itself, or only wait. */
export function knotBefore(pool: Observed): FoundKnot | undefined {
  // Nearly always the end of it: something is idle or on its way, or a borrower does not wait itself.
  if (!pool.isHeldByWaiters(here)) return undefined;
  const pools = [...here];
  return knotsOver(pools).find(({ at }) => at.includes(pools.indexOf(pool)));
}
