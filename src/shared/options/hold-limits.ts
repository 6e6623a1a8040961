/** `maxHold`: what becomes of a resource that is out for too long. Of a pool, and, shorter, of one acquire. */
import { asError, show } from '../show.ts';
import type { HoldLimits } from '../types.ts';
import { checkDuration, limitOf } from './durations.ts';
import { checkNames } from './option-names.ts';

/** In milliseconds from the hand-out; 0: never. */
export interface Hold {
  readonly warnAfter: number;
  readonly cancelAfter: number;
  readonly revokeAfter: number;
}

const STAGES = ['warnAfter', 'cancelAfter', 'revokeAfter'] as const;

export const UNLIMITED: Hold = Object.freeze({ warnAfter: 0, cancelAfter: 0, revokeAfter: 0 });

export const isLimited = (hold: Hold): boolean => STAGES.some((stage) => hold[stage] !== 0);

/** The shortest that is set, or Infinity. */
export const shortestOf = (hold: Hold): number => Math.min(...STAGES.map((stage) => hold[stage] || Number.POSITIVE_INFINITY));

/**
 * Each read once; fractions are rounded up.
 * Throws TypeError or RangeError that names the option and the value. `strict`: unknown names, too.
 */
export function checkHold(limits: unknown, strict = true): Hold {
  return limits === undefined ? UNLIMITED : checked(read(limits, strict));
}

type Given = Readonly<Record<(typeof STAGES)[number], unknown>>;

/** What the object says. Reading it may throw, if it is a Proxy that has been revoked, or has accessors. */
function read(limits: unknown, strict: boolean): Given {
  if (typeof limits !== 'object' || limits === null)
    throw new TypeError(`maxHold must be an object like { warnAfter, cancelAfter, revokeAfter }, not ${show(limits)}`);
  let given: Given;
  try {
    const { warnAfter, cancelAfter, revokeAfter } = limits as HoldLimits;
    given = { warnAfter, cancelAfter, revokeAfter };
    Object.keys(limits);
  } catch (error) {
    throw new TypeError(`maxHold cannot be read: ${asError(error).message}`, { cause: error });
  }
  checkNames(limits, { of: 'maxHold', options: STAGES }, strict);
  return given;
}

function checked(given: Given): Hold {
  const [warnAfter, cancelAfter, revokeAfter] = STAGES.map((stage) => {
    const value = given[stage];
    if (value === undefined) return 0;
    checkDuration(`maxHold.${stage}`, value);
    return Math.ceil(limitOf(value as number));
  });
  const hold = { warnAfter, cancelAfter, revokeAfter };
  checkOrder(hold);
  return hold;
}

/** warn <= cancel <= revoke, among those that are set. */
function checkOrder(hold: Hold): void {
  const set = STAGES.filter((stage) => hold[stage] !== 0);
  for (const [index, later] of set.slice(1).entries()) {
    const earlier = set[index];
    if (hold[earlier] > hold[later])
      throw new RangeError(`maxHold.${earlier} must not be more than maxHold.${later}, which is ${hold[later]}, but is ${hold[earlier]}`);
  }
}

/** Limits that another thread has sent. Undefined: they make no sense, and count for nothing. */
export function holdFrom(sent: unknown): Hold | undefined {
  if (typeof sent !== 'object' || sent === null) return undefined;
  const isSane = STAGES.every((stage) => Number.isInteger((sent as Hold)[stage]) && (sent as Hold)[stage] >= 0);
  return isSane ? (sent as Hold) : undefined;
}

/** The limits of one acquire: the pool's, or shorter ones. A number is `revokeAfter`. Undefined: none of its own. */
export function checkOwnHold(limits: unknown, pool: Hold): Hold | undefined {
  if (limits === undefined) return undefined;
  const given = read(typeof limits === 'number' ? { revokeAfter: limits } : limits, true);
  const own = checked(given);
  const merged = { ...pool };
  for (const stage of STAGES) {
    if (given[stage] === undefined) continue;
    if (pool[stage] !== 0 && (own[stage] === 0 || own[stage] > pool[stage]))
      throw new RangeError(
        `maxHold.${stage} of one acquire must not be longer than the pool's, which is ${pool[stage]}, but is ${own[stage]}`,
      );
    merged[stage] = own[stage];
  }
  return merged;
}
