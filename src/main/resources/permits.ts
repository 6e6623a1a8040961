/**
 * One permit for each resource, asked for before the factory and given back after the destructor. A pool without a budget has all that it
 * likes.
 */
import type { PoolPermits } from '../types.ts';

export const UNLIMITED: PoolPermits = {
  granted: undefined,
  hasRoom: true,
  isAsking: false,
  excess: undefined,
  first: (count) => count,
  take: () => undefined,
  leaving: () => {},
  gone: () => {},
  end: () => {},
};
