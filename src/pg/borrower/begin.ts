/** What transactions say to the server, and what they make of its answers. Blocking and asynchronous transactions share it. */
import { checkFew, type OptionNames } from '../../shared/options/option-names.ts';
import { sqlState } from '../messages/database-error.ts';
import type { Answer } from '../messages/protocol.ts';
import { say } from '../messages/question.ts';
import type { TransactionOptions } from '../types.ts';
import { resultOf } from './answers.ts';
import { TransactionRolledBackError } from './rolled-back.ts';

const NAMES: OptionNames = {
  of: 'a transaction',
  options: ['isolation', 'readOnly', 'deferrable', 'retries', 'timeout', 'signal', 'maxHold'],
  others: {
    isolationLevel: 'use isolation',
    accessMode: 'use readOnly, true or false',
    maxRetries: 'use retries',
    maxWait: 'use timeout, in milliseconds, for the wait in line',
  },
};

const ISOLATION = ['read committed', 'repeatable read', 'serializable'];

export function checkTransaction(body: unknown, options: TransactionOptions): void {
  if (typeof body !== 'function') throw new TypeError(`a transaction takes a function, not ${String(body)}`);
  checkFew(options, NAMES);
  const { isolation, retries } = options;
  for (const name of ['readOnly', 'deferrable'] as const)
    if (options[name] !== undefined && typeof options[name] !== 'boolean')
      throw new TypeError(`${name} must be true or false, not ${String(options[name])}`);
  if (isolation !== undefined && !ISOLATION.includes(isolation))
    throw new TypeError(`isolation must be 'read committed', 'repeatable read' or 'serializable', not ${JSON.stringify(isolation)}`);
  if (retries !== undefined && !(Number.isInteger(retries) && retries >= 0))
    throw new RangeError(`retries must be a whole number from 0, not ${String(retries)}`);
}

/** Throws a TypeError or RangeError that names the value. */
export function checkTimeout(timeout: unknown): void {
  if (timeout === undefined) return;
  if (typeof timeout !== 'number') throw new TypeError(`timeout must be a number of milliseconds, not ${String(timeout)}`);
  if (!(timeout >= 0 && timeout <= LONGEST))
    throw new RangeError(`timeout must be from 0 to ${LONGEST} milliseconds (0 is no limit), not ${timeout}`);
}

/** The longest wait that a timer can have, in ms. */
const LONGEST = 2_147_483_647;

export function beginText({ isolation, readOnly, deferrable }: TransactionOptions): string {
  const modes = [
    isolation === undefined ? '' : `ISOLATION LEVEL ${isolation.toUpperCase()}`,
    readOnly === undefined ? '' : readOnly ? 'READ ONLY' : 'READ WRITE',
    deferrable === undefined ? '' : deferrable ? 'DEFERRABLE' : 'NOT DEFERRABLE',
  ].filter(Boolean);
  return `BEGIN ${modes.join(', ')}`.trim();
}

/** Says whether a call of `begin` found a transaction already open. Throws the server's error if there was one. */
export const isNested = (answer: Answer): boolean => resultOf(answer, say('')).command === 'SAVEPOINT';

let savepoints = 0;
export const newSavepoint = (): string => `cenote_${++savepoints}`;

export function assertCommitted(command: string, lastError: Error | undefined): void {
  if (command === 'ROLLBACK') throw new TransactionRolledBackError(lastError);
}

/** True for a serialization failure and a deadlock: the same transaction may well succeed when it is run again. */
export function isWorthRetrying(error: unknown): boolean {
  const state = sqlState(error);
  return state === '40001' || state === '40P01';
}

const FIRST_PAUSE = 5;
const LONGEST_PAUSE = 1000;
/** Milliseconds before the n-th retry, from 1. The pause doubles each time, and half of it is random, so that rivals part. */
export const pauseBefore = (retry: number): number => Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** retry) * (0.5 + Math.random() / 2);
