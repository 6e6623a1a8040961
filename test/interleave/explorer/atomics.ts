// The Atomics that the code under test finds in place of the real one. Every operation on shared memory of the scenario is a point of the schedule;
// on other memory, and while no schedule runs (setup, after), it is the plain operation.
import type { Memory, Place } from './memory.ts';
import { NOWHERE } from './memory.ts';
import type { Scheduler } from './scheduler.ts';
import type { Tracer } from './trace.ts';
import { NOTIFIED } from './waiting.ts';

export interface Running {
  readonly scheduler: Scheduler;
  readonly memory: Memory;
  /** Set while the schedule is recorded. */
  readonly tracer: Tracer | undefined;
  readonly thread: string;
  nameOf(place: Place): string;
  show(place: Place, value: number | bigint): string;
  /** A promise of waitAsync that is settled when this wait is over. */
  promise(waiter: number): Promise<string>;
}

const real = Atomics;
type Ints = Int32Array;

/** Modifying operations with one operand and with what they need to be shown. */
const operations = ['load', 'store', 'add', 'sub', 'and', 'or', 'xor', 'exchange', 'compareExchange'] as const;
const WAIT = operations.length;
const NOTIFY = WAIT + 1;
const STEP = WAIT + 2;

export function replaceAtomics(running: () => Running | undefined): void {
  const replaced: Record<string, unknown> = { [Symbol.toStringTag]: 'Atomics' };
  operations.forEach((name, number) => {
    const operation = real[name] as (view: Ints, index: number, ...operands: number[]) => number;
    replaced[name] = (view: Ints, index: number, ...operands: number[]): number => {
      const now = running();
      const place = now === undefined ? NOWHERE : now.memory.place(view, index);
      if (now === undefined || place === NOWHERE) return operation(view, index, ...operands);
      now.scheduler.point();
      const before = now.tracer && real.load(view, index);
      const result = operation(view, index, ...operands);
      now.scheduler.done(number, place, Number(result));
      if (before !== undefined) record(now, name, place, before, real.load(view, index), operands);
      return result;
    };
  });

  const refusesToWait = (now: Running, name: string, view: Ints, index: number, value: number, place: Place): boolean => {
    now.scheduler.point();
    const found = real.load(view, index);
    now.scheduler.done(WAIT, place, Number(found));
    const word = now.nameOf(place);
    const shown = now.tracer && now.show(place, found);
    if (found === value) {
      now.tracer?.operation(now.thread, name, word, `${shown}: sleeps`);
      return false;
    }
    now.tracer?.operation(now.thread, name, word, `${shown}, not ${now.show(place, value)}: goes on`);
    return true;
  };
  const milliseconds = (timeout: number | undefined): number =>
    timeout === undefined || Number.isNaN(timeout) ? Number.POSITIVE_INFINITY : Math.max(0, timeout);

  replaced.wait = (view: Ints, index: number, value: number, timeout?: number): string => {
    const now = running();
    const place = now === undefined ? NOWHERE : now.memory.place(view, index);
    if (now === undefined || place === NOWHERE) return real.wait(view, index, value, timeout);
    if (refusesToWait(now, 'wait', view, index, value, place)) return 'not-equal';
    const ended = now.scheduler.sleep(place, milliseconds(timeout));
    now.tracer?.note(now.thread, ended === NOTIFIED ? 'is woken' : 'its wait times out');
    return ended === NOTIFIED ? 'ok' : 'timed-out';
  };

  replaced.waitAsync = (view: Ints, index: number, value: number, timeout?: number): unknown => {
    const now = running();
    const place = now === undefined ? NOWHERE : now.memory.place(view, index);
    if (now === undefined || place === NOWHERE) return real.waitAsync(view, index, value, timeout);
    if (refusesToWait(now, 'waitAsync', view, index, value, place)) return { async: false, value: 'not-equal' };
    if (milliseconds(timeout) === 0) return { async: false, value: 'timed-out' };
    return { async: true, value: now.promise(now.scheduler.addWait(place, milliseconds(timeout), true)) };
  };

  replaced.notify = (view: Ints, index: number, count?: number): number => {
    const now = running();
    const place = now === undefined ? NOWHERE : now.memory.place(view, index);
    if (now === undefined || place === NOWHERE) return real.notify(view, index, count);
    now.scheduler.point();
    let woken = 0;
    for (const most = count ?? Number.POSITIVE_INFINITY; woken < most; woken++) {
      const thread = now.scheduler.waiting.wakeOne(place);
      if (thread < 0) break;
      now.scheduler.wake(thread);
    }
    now.scheduler.done(NOTIFY, place, woken);
    now.tracer?.operation(now.thread, 'notify', now.nameOf(place), woken === 0 ? 'nobody sleeps' : `wakes ${woken}`);
    return woken;
  };

  replaced.isLockFree = real.isLockFree;
  replaced.pause = () => step(running(), 'pause');
  globalThis.Atomics = replaced as unknown as typeof Atomics;
}

/** A point of the schedule that touches no memory. */
export function step(now: Running | undefined, label: string): void {
  if (now === undefined) return;
  now.scheduler.point();
  now.scheduler.done(STEP, 0, 0);
  now.tracer?.operation(now.thread, label, '', '');
}

function record(
  now: Running,
  name: string,
  place: Place,
  before: number | bigint,
  after: number | bigint,
  operands: (number | bigint)[],
): void {
  const was = now.show(place, before);
  let change = was;
  if (name === 'compareExchange' && before !== operands[0]) change = `${was}, not ${now.show(place, operands[0])}: fails`;
  else if (name !== 'load') change = before === after ? `${was} (unchanged)` : `${was} -> ${now.show(place, after)}`;
  now.tracer?.operation(now.thread, name, now.nameOf(place), change);
}
