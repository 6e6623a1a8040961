// Random programs on a runner, held against what each of their steps may come to: jobs of all kinds, scopes in scopes, maps, cancels, dead threads, reloads, and a close at
// some moment. Seeded: a failure prints its seed and its shortest program.

import { createPool } from 'cenote';
import { JobLostError, JobRunner, type JobScope, RunnerClosedError, ScopeClosedError } from 'cenote/jobs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { settled, sleep, until } from '../support/wait.ts';
import { ANY_JOB, type Body, job, whole } from './support.ts';

/** More for longer: MODEL_RUNS=200 npx vitest run test/jobs/model.test.ts */
const RUNS = Number(process.env.MODEL_RUNS ?? 4);

const BODIES: Record<string, Body> = {
  quick: (_, n) => n,
  sleeps: (_, n) => pause(n % 30).then(() => n),
  throws: (_, n) => Promise.reject(new RangeError(`thrown by ${n}`)),
  borrows: (context, n) => context.pools.things.use((thing: any) => thing.give(n)),
  blocks: (context, n) => context.pools.things.useSync((thing: any) => thing.give(n)),
  forgets: (context, n) => context.pools.things.acquire().then(() => n),
  spins: (context, n) => {
    for (const end = Date.now() + (n % 40); Date.now() < end; ) context.check();
    return n;
  },
  deaf: (_, n) => new Promise((resolve) => setTimeout(resolve, 60 + (n % 60), n)),
  exits: () => process.exit(1),
};
const GIVES = Object.keys(BODIES).filter((kind) => kind !== 'throws' && kind !== 'exits');

type Step =
  | { kind: 'job'; body: string; cancelAfter: number | undefined; timeout: number | undefined }
  | { kind: 'map'; bodies: string[]; leaveAfter: number; concurrency: number }
  | { kind: 'scope'; steps: Step[]; cancelAfter: number | undefined; mode: 'fail-together' | 'independent' }
  | { kind: 'reload' }
  | { kind: 'pause'; ms: number };

const maybe = (most: number): fc.Arbitrary<number | undefined> => fc.option(fc.nat(most), { nil: undefined });
const body = fc.constantFrom(...Object.keys(BODIES), ...GIVES, ...GIVES);
const leaf: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('job' as const), body, cancelAfter: maybe(30), timeout: maybe(40) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('map' as const),
      bodies: fc.array(body, { maxLength: 6 }),
      leaveAfter: fc.nat(6),
      concurrency: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reload' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pause' as const), ms: fc.nat(10) }) },
);
const scoped = (inner: fc.Arbitrary<Step>): fc.Arbitrary<Step> =>
  fc.record({
    kind: fc.constant('scope' as const),
    steps: fc.array(inner, { maxLength: 5 }),
    cancelAfter: maybe(40),
    mode: fc.constantFrom('fail-together' as const, 'independent' as const),
  });
const step = fc.oneof(
  { weight: 4, arbitrary: leaf },
  { weight: 1, arbitrary: scoped(fc.oneof({ weight: 4, arbitrary: leaf }, { weight: 1, arbitrary: scoped(leaf) })) },
);
const program = fc.record({
  steps: fc.array(step, { minLength: 4, maxLength: 14 }),
  threads: fc.integer({ min: 1, max: 3 }),
  seats: fc.integer({ min: 1, max: 2 }),
  retryLost: fc.nat(1),
  closeAfter: maybe(60),
  queued: fc.constantFrom('reject' as const, 'finish' as const),
});

interface Place {
  run: JobRunner['run'];
  map: JobRunner['map'];
  scope: JobRunner['scope'];
}

let numbers = 0;

/** One of many that have been cancelled, whatever the reason. */
const isCancel = (error: unknown): boolean => error instanceof Error && /^cancelled/.test(error.message);

/** What may end a job of this body, besides its own end. `isInScope`: the failure of another may be its reason. */
function check(
  kind: string,
  n: number,
  result: PromiseSettledResult<unknown>,
  step: { cancelAfter?: number | undefined; timeout?: number | undefined },
  isInScope: boolean,
): void {
  if (result.status === 'fulfilled') {
    expect(GIVES, `${kind} gave ${String(result.value)}`).toContain(kind);
    expect(result.value).toBe(n);
    return;
  }
  const error = result.reason as { message: string; code?: string };
  const isOwn = kind === 'throws' && error.message === `thrown by ${n}`;
  const isLost = error instanceof JobLostError;
  const isClosed = error instanceof RunnerClosedError || error instanceof ScopeClosedError;
  const isLate = step.timeout !== undefined && error.code === 'ERR_JOB_TIMEOUT';
  const isMine = step.cancelAfter !== undefined && isCancel(error);
  expect(isOwn || isLost || isClosed || isLate || isMine || isInScope, `${kind} ${n} ended with ${error}`).toBe(true);
}

async function play(place: Place, steps: readonly Step[], isInScope: boolean, runner: JobRunner<any>): Promise<void> {
  const all = steps.map(async (step): Promise<void> => {
    whole(runner);
    switch (step.kind) {
      case 'pause':
        return sleep(step.ms);
      case 'reload':
        return void (await Promise.allSettled([runner.reload()]));
      case 'job': {
        const n = ++numbers;
        const abort = new AbortController();
        const limits = step.timeout === undefined ? {} : { timeout: 1 + step.timeout };
        const timer =
          step.cancelAfter === undefined ? undefined : setTimeout(() => abort.abort(new Error(`cancelled ${n}`)), step.cancelAfter);
        const [result] = await Promise.allSettled([place.run(job(BODIES[step.body], n), { signal: abort.signal, ...limits })]);
        clearTimeout(timer);
        return check(step.body, n, result, step, isInScope);
      }
      case 'map': {
        const payloads = step.bodies.map((kind) => ({ kind, n: ++numbers }));
        let given = 0;
        const results = place.map<any, any>(
          payloads.map(({ kind, n }) => job(BODIES[kind], n)),
          { settle: true, concurrency: step.concurrency },
        );
        try {
          for await (const result of results) {
            const { kind, n } = payloads[given++];
            check(kind, n, result, {}, isInScope);
            if (given === step.leaveAfter) break;
          }
        } catch (error) {
          expect(error instanceof RunnerClosedError || error instanceof ScopeClosedError || isInScope, String(error)).toBe(true);
        }
        return;
      }
      case 'scope': {
        let inner: JobScope | undefined;
        const timer =
          step.cancelAfter === undefined ? undefined : setTimeout(() => void inner?.cancel(new Error('cancelled scope')), step.cancelAfter);
        const [result] = await Promise.allSettled([
          place.scope(
            async (scope) => {
              inner = scope;
              await play(scope, step.steps, true, runner);
              return 'body';
            },
            { mode: step.mode },
          ),
        ]);
        clearTimeout(timer);
        // Nothing of it runs any more, however it ended.
        if (inner !== undefined) {
          expect(inner.active).toBe(0);
          expect(await inner.run(1).catch((error: unknown) => error)).toBeInstanceOf(Error);
        }
        if (result.status === 'fulfilled') expect(result.value).toBe('body');
        return;
      }
    }
  });
  for (const result of await Promise.allSettled(all)) if (result.status === 'rejected') throw result.reason;
}

test('every program comes to an end, in which all is whole', async () => {
  await fc.assert(
    fc.asyncProperty(program, async ({ steps, threads, seats, retryLost, closeAfter, queued }) => {
      const pool = await createPool({ factory: () => ({ give: (n: number) => n }), max: 2 });
      const runner = new JobRunner<any>({
        filename: ANY_JOB,
        pools: { things: pool },
        maxThreads: threads,
        minThreads: 1,
        concurrentTasksPerWorker: seats,
        grace: 20,
        retryLost,
        execArgv: [],
      });
      const errors: Error[] = [];
      runner.on('error', (error) => errors.push(error));
      try {
        const timer = closeAfter === undefined ? undefined : setTimeout(() => void runner.close({ queued, timeout: 500 }), closeAfter);
        await settled(play(runner, steps, false, runner));
        clearTimeout(timer);
        await settled(runner.close({ timeout: 500 }));
        whole(runner);
        expect(runner.stats()).toMatchObject({ waiting: 0, running: 0, threads: 0 });
        await until(() => pool.activeCount() === 0 && pool.waitingCount() === 0 && pool.stats().threads === 0);
        const { acquired, released } = pool.stats();
        expect(acquired).toBe(released);
        expect(errors).toEqual([]);
      } finally {
        await runner.close({ timeout: 1 });
        await pool.close();
      }
    }),
    { seed: Number(process.env.MODEL_SEED ?? 20), numRuns: RUNS, endOnFailure: RUNS <= 4 },
  );
});
