/** What createBudget accepts: checked once, with every default filled in. */
import { hostname } from 'node:os';
import process from 'node:process';
import { checkNames } from '../shared/options/option-names.ts';
import { numberOf } from './sources.ts';
import type { BudgetOptions } from './types.ts';

export type Settings = { [Name in keyof Required<BudgetOptions>]: Exclude<BudgetOptions[Name], undefined> };

const MOST = 100_000;
const DAY = 86_400_000;

/** Throws TypeError or RangeError that names the option and the value. */
export function settingsOf(options: BudgetOptions): Settings {
  if (typeof options !== 'object' || options === null)
    throw new TypeError(`createBudget takes an options object like { engine, key, limit }, not ${String(options)}`);
  checkNames(options, {
    of: 'createBudget',
    options: ['engine', 'key', 'limit', 'floor', 'weight', 'ttl', 'ownerTimeout', 'onUnreachable', 'onLost', 'member'],
    others: { max: 'use limit, which is for all members together', name: 'use key, or member for the label of this one' },
  });
  const { engine } = options;
  numberOf(engine);
  const key = text('key', options.key);
  const limit = checkedLimit(options.limit);
  const floor = whole('floor', options.floor ?? 1, 0, limit, 'limit');
  return {
    engine,
    key,
    limit,
    floor,
    weight: weight(options.weight ?? 1),
    ttl: whole('ttl', options.ttl ?? 15_000, 1000, DAY),
    ownerTimeout: whole('ownerTimeout', options.ownerTimeout ?? 60_000, 1000, DAY),
    onUnreachable: one('onUnreachable', options.onUnreachable ?? 'wait', ['wait', 'open']),
    onLost: one('onLost', options.onLost ?? 'destroy', ['destroy', 'revoke', 'keep']),
    member: options.member === undefined ? `${hostname()}:${process.pid}` : text('member', options.member),
  };
}

export const checkedLimit = (limit: unknown): number => whole('limit', limit, 1, MOST);

/** Whole numbers; milliseconds are rounded up. */
function whole(option: string, value: unknown, least: number, most: number, whose?: string): number {
  if (typeof value !== 'number') throw new TypeError(`${option} must be a whole number, not ${shown(value)}`);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new RangeError(
      `${option} must be a whole number from ${least} to ${most}${whose === undefined ? '' : ` (${whose})`}, not ${value}`,
    );
  return value;
}

function weight(value: unknown): number {
  if (typeof value !== 'number') throw new TypeError(`weight must be a number, not ${shown(value)}`);
  if (!(value >= 0.001 && value <= 1000)) throw new RangeError(`weight must be from 0.001 to 1000, not ${value}`);
  return value;
}

function text(option: string, value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`${option} must be a text, not ${shown(value)}`);
  if (value === '' || value.length > 200 || value.includes('\0'))
    throw new RangeError(`${option} must have from 1 to 200 characters, none of them NUL, not ${JSON.stringify(value.slice(0, 60))}`);
  return value;
}

function one<V extends string>(option: string, value: V, among: readonly V[]): V {
  if (!among.includes(value))
    throw new TypeError(`${option} must be ${among.map((each) => `'${each}'`).join(' or ')}, not ${shown(value)}`);
  return value;
}

const shown = (value: unknown): string => (typeof value === 'string' ? JSON.stringify(value) : String(value));
