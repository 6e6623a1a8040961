/** The pools that are watched: each once, under a name of its own. */
import type { Pool } from '../main/index.ts';
import { labelsOf } from '../shared/observing/knots.ts';
import { OBSERVED, type Observed } from '../shared/observing/observed.ts';
import type { AttachedPool, PoolStats } from '../worker/index.ts';

/** What createPgPool and attachPgPool give. */
export interface HasPool {
  /** The pool of its connections. */
  // biome-ignore lint/suspicious/noExplicitAny: a pool of anything.
  readonly pool: Pool<any> | AttachedPool<any>;
}

/**
 * A pool, a pool that a thread has attached, or what createPgPool and attachPgPool give (both have `pool`). Given twice it is one. Two
 * pools of one name: the second is `name#2` everywhere here, by position, with one warning; numbers stay when one closes.
 */
// biome-ignore lint/suspicious/noExplicitAny: a pool of anything.
export type AnyPool = Pool<any> | AttachedPool<any> | HasPool;

/** What of a pool is used here. */
interface Shown {
  readonly [OBSERVED]: Observed;
  stats(): PoolStats;
  isClosed(): boolean;
}

/** One pool that is watched. */
export interface Watched {
  readonly label: string;
  readonly observed: Observed;
  readonly pool: Shown;
}

/** Throws TypeError for what is no pool. */
export function watch(pools: AnyPool | readonly AnyPool[]): Watched[] {
  const found = new Map<string, Shown>();
  for (const each of Array.isArray(pools) ? (pools as readonly unknown[]) : [pools]) {
    const pool = shownBy(each);
    if (!found.has(pool[OBSERVED].key)) found.set(pool[OBSERVED].key, pool);
  }
  const all = [...found.values()];
  const labels = labelsOf(all.map((pool) => pool[OBSERVED].name));
  const watched = all.map((pool, index) => ({ label: labels[index], observed: pool[OBSERVED], pool }));
  for (const { label, observed } of watched) if (label !== observed.name) warnOnce(observed.name, label);
  return watched;
}

function shownBy(value: unknown): Shown {
  for (const candidate of [value, (value as { pool?: unknown } | null | undefined)?.pool])
    if (typeof candidate === 'object' && candidate !== null && OBSERVED in candidate) return candidate as Shown;
  const what = typeof value === 'object' ? (value === null ? 'null' : 'an object that is none') : String(value);
  throw new TypeError(`cenote/observe takes pools, as createPool, attachPool, createPgPool or attachPgPool give them, not ${what}`);
}

const warned = new Set<string>();

function warnOnce(name: string, label: string): void {
  if (warned.has(label)) return;
  warned.add(label);
  process.emitWarning(`two pools are called ${JSON.stringify(name)}: here the second is ${label}. Give each a name of its own`);
}
