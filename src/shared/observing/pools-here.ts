/** The pools that this thread owns or has attached, for a waiter that gives up and wants to know whether it waits for ever. */
import { type FoundKnot, knotsOver } from './knots.ts';
import type { Observed } from './observed.ts';

const here = new Set<Observed>();

export function addPool(pool: Observed): void {
  here.add(pool);
}

export function removePool(pool: Observed): void {
  here.delete(pool);
}

/** The knot that keeps a waiter for this pool from being served, if there is one. It may be in it itself, or only wait. */
export function knotBefore(pool: Observed): FoundKnot | undefined {
  // Nearly always the end of it: something is idle or on its way, or a borrower does not wait itself.
  if (!pool.isHeldByWaiters(here)) return undefined;
  const pools = [...here];
  return knotsOver(pools).find(({ at }) => at.includes(pools.indexOf(pool)));
}
