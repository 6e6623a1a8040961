// One thread of an exploration. It loads the scenario once, and then runs its body schedule after schedule, without a word to the main thread.
import { parentPort } from 'node:worker_threads';
import { type Running, replaceAtomics, step } from './atomics.ts';
import type { Strategy } from './choice.ts';
import { replaceClock } from './clock.ts';
import { C, type Control, D, firstSeen, RUNNING, STOPPED } from './control.ts';
import { Memory } from './memory.ts';
import type { Reply, Request } from './messages.ts';
import { type Context, type Load, type NamedScenario, scenarioNamed, threadNames, type Word } from './scenario.ts';
import { NO_THREAD, type Roles, Scheduler, UNWIND } from './scheduler.ts';
import { strategyFor } from './strategies/index.ts';
import { Tracer } from './trace.ts';
import { awaitTurn, handOver, wakeAll } from './turns.ts';

const port = parentPort;
if (port === null) throw new Error('thread.ts is started by explore.ts');
process.setSourceMapsEnabled(true);
Error.stackTraceLimit = 30;

let me = 0;
let race: NamedScenario;
let code: unknown;
let shared: unknown;
let memory: Memory;
let control: Control;
let words = new Map<number, Word>();
/** Set while this thread runs its body. */
let running: Running | undefined;
/** What was awaited of Atomics.waitAsync in this schedule. */
const promises = new Map<number, (how: string) => void>();

replaceAtomics(() => running);

const names = (): string[] => threadNames(race);

async function load(message: Request & { type: 'load' }): Promise<void> {
  await import(message.file);
  race = scenarioNamed(message.name);
  me = message.me;
  const { root, extension } = message.base;
  const from: Load = (module) => import(new URL(module.replace(/\.ts$/, extension), root).href);
  code = await race.code?.(from);
}

function attach(value: unknown): void {
  shared = value;
  memory = new Memory(shared);
  words = new Map((race.words?.({ code, shared }) ?? []).map((word) => [memory.place(word.view, word.index), word]));
}

const maskOf = (some: readonly string[]): number => some.reduce((bits, name) => bits | (1 << names().indexOf(name)), 0);

function rolesOf(): Roles {
  const threads = Object.keys(race.threads);
  const daemons = Object.keys(race.daemons ?? {});
  const mask = (count: number, from: number): number => ((1 << count) - 1) << from;
  return {
    names: names(),
    threads: mask(threads.length, 0),
    daemons: mask(daemons.length, threads.length),
    mortal: maskOf(race.mortal ?? threads),
    repair: race.repair ? threads.length + daemons.length : -1,
  };
}

function contextFor(scheduler: Scheduler): Context<unknown, unknown> {
  const fail = (message: string): never => scheduler.fail('invariant', message, new Error(message).stack);
  return {
    code,
    shared,
    name: names()[me],
    index: me,
    step: (label = 'step') => step(running, label),
    note: (text) => running?.tracer?.note(running.thread, text),
    fail,
    assert: (condition, message) => {
      if (!condition) fail(message);
    },
  };
}

// ── one schedule

async function runBody(scheduler: Scheduler, context: Context<unknown, unknown>, now: Running): Promise<void> {
  scheduler.start();
  promises.clear();
  running = now;
  try {
    const body = race.threads[context.name] ?? race.daemons?.[context.name];
    const result = body === undefined ? repairAll(context) : body(context);
    if (isThenable(result)) await settle(scheduler, result);
  } catch (error) {
    // A thread that unwinds may throw whatever it likes.
    if (error !== UNWIND && !scheduler.unwinding) reportError(scheduler, error);
  } finally {
    running = undefined;
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as PromiseLike<unknown> | undefined)?.then === 'function';

function reportError(scheduler: Scheduler, error: unknown): void {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  scheduler.report('error', message, stack);
}

function repairAll(context: Context<unknown, unknown>): void {
  const { words } = control;
  for (;;) {
    const dead = words[C.dead] & ~words[C.repaired];
    if (dead === 0) return;
    const victimIndex = 31 - Math.clz32(dead & -dead);
    words[C.repaired] |= 1 << victimIndex;
    race.repair?.({ ...context, victim: names()[victimIndex], victimIndex });
  }
}

/** Runs an async body: whenever its microtasks have run out, it waits, and another thread has its turn. */
async function settle(scheduler: Scheduler, result: PromiseLike<unknown>): Promise<void> {
  let settled = false;
  let failure: { error: unknown } | undefined;
  result.then(
    () => (settled = true),
    (error) => {
      settled = true;
      failure = { error };
    },
  );
  for (;;) {
    await new Promise((resolve) => setImmediate(resolve));
    if (scheduler.unwinding) throw UNWIND;
    if (settled) break;
    if (!settlePromises(scheduler)) scheduler.rest();
  }
  if (failure) throw failure.error;
}

function settlePromises(scheduler: Scheduler): boolean {
  let any = false;
  for (const [waiter, resolve] of promises) {
    const ended = scheduler.waiting.take(waiter);
    if (ended === 0) continue;
    promises.delete(waiter);
    resolve(ended === 2 ? 'ok' : 'timed-out');
    any = true;
  }
  return any;
}

// ── all schedules

async function explore(message: Request & { type: 'run' }): Promise<Reply> {
  control = message.control;
  const strategy = strategyFor(message.plan, control.strategy);
  const { bound = 5000, patience = 200, timeouts = names() } = race;
  const scheduler = new Scheduler(me, control, rolesOf(), { bound, patience, timeouts: maskOf(timeouts) }, strategy, memory);
  const tracer = message.traced ? new Tracer(control) : undefined;
  scheduler.tracer = tracer;
  const context = contextFor(scheduler);
  const now: Running = {
    scheduler,
    memory,
    tracer,
    thread: context.name,
    nameOf: (place) => words.get(place)?.name ?? `word ${(place & 0xffffff) / 4}`,
    show: (place, value) => words.get(place)?.show?.(Number(value)) ?? String(value),
    promise: (waiter) => new Promise((resolve) => promises.set(waiter, resolve)),
  };

  let next = NO_THREAD;
  if (me === 0) {
    control.words[C.phase] = RUNNING;
    scheduler.begin();
    next = scheduler.first();
  }
  for (;;) {
    if (next !== me) {
      if (next !== NO_THREAD) handOver(control, next);
      awaitTurn(control, me);
    }
    if (control.words[C.phase] === STOPPED) break;
    await runBody(scheduler, context, now);
    next = scheduler.finish();
    while (next === NO_THREAD && control.words[C.phase] !== STOPPED) next = endSchedule(scheduler, strategy, context);
    if (control.words[C.phase] === STOPPED) break;
  }
  return { type: 'over', failed: scheduler.failed, records: tracer?.records ?? [] };
}

/** Everyone has ended: checks what is left, and begins the next schedule. Gives who starts it. */
function endSchedule(scheduler: Scheduler, strategy: Strategy, context: Context<unknown, unknown>): number {
  const { words: w, doubles, seen } = control;
  if (w[C.failure] === 0) checkAfter(scheduler, context);
  w[C.schedules]++;
  doubles[D.steps] += w[C.step];
  w[C.longest] = Math.max(w[C.longest], w[C.step]);
  if (firstSeen(seen, w[C.hash])) w[C.distinct]++;
  if (w[C.failure] === 0 && strategy.end(w[C.step]) && w[C.halt] === 0) {
    scheduler.begin();
    return scheduler.first();
  }
  w[C.complete] = strategy.complete ? 1 : 0;
  w[C.phase] = STOPPED;
  wakeAll(control, me);
  return NO_THREAD;
}

/** What fails here is thrown and reported: `scheduler.fail` would keep silent if this thread, the last to end, was unwound (a daemon always is). */
function checkAfter(scheduler: Scheduler, context: Context<unknown, unknown>): void {
  const dead = names().filter((_, thread) => (control.words[C.dead] >> thread) & 1);
  const fail = (message: string): never => {
    throw new Error(message);
  };
  const assert = (condition: boolean, message: string): void => {
    if (!condition) fail(message);
  };
  try {
    race.after?.({ ...context, dead, fail, assert });
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    scheduler.report('invariant', message, stack);
  }
}

// ── the main thread's requests

async function answer(message: Request): Promise<Reply> {
  switch (message.type) {
    case 'load':
      await load(message);
      return { type: 'ready' };
    case 'setup':
      return { type: 'shared', shared: race.setup({ code }) };
    case 'attach':
      attach(message.shared);
      return { type: 'ready' };
    case 'run':
      return explore(message);
  }
}

replaceClock(
  () => (running ? control : undefined),
  () => race?.tick ?? 0.01,
);
// What fails in a microtask or in a promise that nobody awaits is a failure of the body that runs. To unwind is none.
const stray = (error: unknown): void => {
  if (error !== UNWIND && running && !running.scheduler.unwinding) reportError(running.scheduler, error);
};
process.on('unhandledRejection', stray);
process.on('uncaughtException', stray);

port.on('message', (message: Request) => {
  answer(message).then(
    (reply) => port.postMessage(reply),
    (error: Error) => port.postMessage({ type: 'broken', message: error.message, stack: error.stack ?? '' } satisfies Reply),
  );
});
