// Runs a scenario under many schedules. On a failure, replays it once more with the trace on, and says how to replay it by hand.
import type { Worker } from 'node:worker_threads';
import type { Copy } from '../../mutation/copy.ts';
import type { Mutant } from '../../mutation/mutant.ts';
import { C, type Control, createControl, D, type FailureKind, failures } from './control.ts';
import { ask, asTheyLoadIt, crew, dismiss } from './crew.ts';
import type { Base, Reply, Request } from './messages.ts';
import { type NamedScenario, threadNames } from './scenario.ts';
import { parseSchedule, scheduleText } from './schedule-text.ts';
import type { Plan } from './strategies/index.ts';
import { seedOf } from './strategies/random.ts';
import { renderTrace, type TraceRecord } from './trace.ts';

export interface Failure {
  readonly kind: FailureKind;
  readonly thread: string;
  readonly message: string;
  /** For `replay`. */
  readonly schedule: string;
  /** For `random({ seed, schedules: 1 })` with the other options unchanged, if it was found by that. */
  readonly seed: number | undefined;
  readonly trace: string;
  /** All of it, to print. */
  readonly report: string;
}

export interface Explored {
  readonly schedules: number;
  /** How many of them differed in some operation or its result. */
  readonly distinct: number;
  readonly steps: number;
  readonly longest: number;
  readonly milliseconds: number;
  /** Every schedule that the plan covers was run. */
  readonly complete: boolean;
  readonly failure: Failure | undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: scenarios of any code and any state
export type AnyScenario = NamedScenario<any, any>;

const root = new URL('../../../', import.meta.url);
/** What is shipped. CENOTE_INTERLEAVE_SOURCE=1 takes src/ itself, for when dist/ does not build. */
const shipped: Base = process.env.CENOTE_INTERLEAVE_SOURCE
  ? { root: new URL('src/', root).href, extension: '.ts' }
  : { root: new URL('dist/', root).href, extension: '.js' };

/** Of the mutant that was explored last: whoever looks for it again need not load it again. */
let copy: (Copy & { readonly mutant: Mutant }) | undefined;
process.on('exit', () => copy?.remove());

async function baseOf(mutant: Mutant | undefined): Promise<Base> {
  if (mutant === undefined) return shipped;
  if (copy?.mutant !== mutant) {
    copy?.remove();
    copy = undefined;
    // Not on the explorer's threads, which load this file, too: the parser it needs takes a while.
    const { copyOf } = await import('../../mutation/copy.ts');
    copy = { mutant, ...copyOf(mutant) };
  }
  return { root: copy.root, extension: '.js' };
}

/** The exploration under way. There is one crew, so the next one ends it: a test that timed out has left it running. */
let current: Control | undefined;
let idle: Promise<unknown> = Promise.resolve();

function whenIdle<V>(run: () => Promise<V>): Promise<V> {
  if (current !== undefined) current.words[C.halt] = 1;
  const result = idle.then(run);
  idle = result.catch(() => {});
  return result;
}

export function explore(race: AnyScenario, plan: Plan, mutant?: Mutant): Promise<Explored> {
  return whenIdle(() => exploreNow(race, plan, mutant));
}

async function exploreNow(race: AnyScenario, plan: Plan, mutant?: Mutant): Promise<Explored> {
  const threads = await prepare(race, await baseOf(mutant));
  const run = await runOnce(race, threads, plan, false);
  const failure = run.failure === undefined ? undefined : await explain(race, threads, plan, run, mutant);
  return { ...run.counts, failure };
}

/** One schedule, written as a failure printed it. The trace comes with it, failed or not. */
export function replay(race: AnyScenario, schedule: string, mutant?: Mutant): Promise<{ failure: Failure | undefined; trace: string }> {
  return whenIdle(() => replayNow(race, schedule, mutant));
}

async function replayNow(race: AnyScenario, schedule: string, mutant?: Mutant): Promise<{ failure: Failure | undefined; trace: string }> {
  const threads = await prepare(race, await baseOf(mutant));
  const plan: Plan = { kind: 'replay', segments: parseSchedule(schedule, threadNames(race)) };
  const run = await runOnce(race, threads, plan, true);
  const trace = renderTrace(run.records);
  return { trace, failure: run.failure && described(race, plan, run, trace, mutant) };
}

// ── one run

interface Run {
  readonly counts: Omit<Explored, 'failure'>;
  readonly failure: { kind: FailureKind; thread: string; message: string; stack: string } | undefined;
  readonly schedule: string;
  readonly hash: number;
  readonly records: readonly TraceRecord[];
}

async function prepare(race: AnyScenario, { root, extension }: Base): Promise<Worker[]> {
  const threads = crew(threadNames(race).length);
  const load = (me: number): Request => ({
    type: 'load',
    file: asTheyLoadIt(race.file).href,
    name: race.name,
    base: { root, extension },
    me,
  });
  try {
    await all(threads.map((worker, me) => ask(worker, load(me))));
    const reply = await ask(threads[0], { type: 'setup' });
    const shared = reply.type === 'shared' ? reply.shared : undefined;
    await all(threads.map((worker) => ask(worker, { type: 'attach', shared })));
  } catch (error) {
    // What failed to load stays failed on that thread.
    await dismiss();
    throw error;
  }
  return threads;
}

/** Waits for all of them, and only then says what went wrong: a late reply would otherwise answer the next request. */
async function all(replies: readonly Promise<Reply>[]): Promise<void> {
  for (const settled of await Promise.allSettled(replies)) if (settled.status === 'rejected') throw settled.reason;
}

async function runOnce(race: AnyScenario, threads: readonly Worker[], plan: Plan, traced: boolean): Promise<Run> {
  const control = createControl();
  current = control;
  const names = threadNames(race);
  const start = performance.now();
  const replies = await guarded(
    control,
    names,
    race.stuckAfter ?? 15,
    threads.map((worker) => ask(worker, { type: 'run', control, plan, traced })),
  );
  const { words, doubles } = control;
  const overs = replies.filter((reply) => reply.type === 'over');
  const failed = overs.map((over) => over.failed).find((failure) => failure !== undefined);
  return {
    counts: {
      schedules: words[C.schedules],
      distinct: words[C.distinct],
      steps: doubles[D.steps],
      longest: words[C.longest],
      milliseconds: performance.now() - start,
      complete: words[C.complete] === 1,
    },
    failure:
      words[C.failure] === 0
        ? undefined
        : {
            kind: failures[words[C.failure]] as FailureKind,
            thread: names[words[C.failedThread]],
            message: failed?.message ?? '',
            stack: failed?.stack ?? '',
          },
    schedule: scheduleText(control.segments, words[C.segments], names),
    hash: words[C.hash],
    records: overs.flatMap((over) => over.records),
  };
}

/** Rejects if no thread makes a step any more: one of them runs without ever coming to an operation. */
function guarded(control: Control, names: readonly string[], stuckAfter: number, replies: readonly Promise<Reply>[]): Promise<Reply[]> {
  return new Promise((resolve, reject) => {
    let last = '';
    let same = 0;
    let isOver = false;
    /** Once: the threads of the next exploration are not ours to dismiss. */
    const giveUp = (error: unknown): void => {
      if (isOver) return;
      isOver = true;
      dismiss().then(() => reject(error));
    };
    const timer = setInterval(() => {
      const now = [C.step, C.schedules, C.segments].map((word) => control.words[word]).join();
      same = now === last ? same + 1 : 0;
      last = now;
      if (same < stuckAfter) return;
      const schedule = scheduleText(control.segments, control.words[C.segments], names);
      giveUp(new Error(`Stuck: a thread runs without any atomic operation. Schedule so far: ${schedule}`));
    }, 1000);
    Promise.all(replies)
      .then(resolve, giveUp)
      .finally(() => clearInterval(timer));
  });
}

// ── failures

async function explain(race: AnyScenario, threads: readonly Worker[], plan: Plan, run: Run, mutant: Mutant | undefined): Promise<Failure> {
  const again: Plan = { kind: 'replay', segments: parseSchedule(run.schedule, threadNames(race)) };
  const traced = await runOnce(race, threads, again, true);
  const trace = renderTrace(traced.records);
  const same = traced.hash === run.hash && traced.failure?.kind === run.failure?.kind;
  const doubt = same ? '' : '\nTHE REPLAY WENT ANOTHER WAY: something in the scenario depends on more than the schedule.';
  return described(race, plan, run, trace + doubt, mutant);
}

function described(race: AnyScenario, plan: Plan, run: Run, trace: string, mutant: Mutant | undefined): Failure {
  const { kind, thread, message, stack } = run.failure ?? { kind: 'error', thread: '', message: '', stack: '' };
  const seed = plan.kind === 'random' ? seedOf(plan, run.counts.schedules - 1) : undefined;
  const { schedule } = run;
  const found = `schedule ${run.counts.schedules} of ${plan.kind}${seed === undefined ? '' : `, seed ${seed}`}`;
  const report = [
    `${race.name}${mutant ? ` [mutant: ${mutant.name}]` : ''}: ${kind} in ${thread}, ${found}`,
    message,
    `replay('${schedule}')`,
    trace,
    kind === 'error' || kind === 'invariant' ? stack : '',
  ].join('\n');
  return { kind, thread, message, schedule, seed, trace, report };
}
