import { AsyncLocalStorage } from 'node:async_hooks';
import { createPool } from 'cenote';
import { JobError, JobLostError, JobQueueFullError, JobResultError, JobTimeoutError } from 'cenote/jobs';
import { describe, expect, test } from 'vitest';
import { ownTime } from '../support/time.ts';
import { outcome, rejection, until } from '../support/wait.ts';
import { isRunning, job, newFlag, open, run, whole } from './support.ts';

describe('what a job gives', () => {
  test('is its value, whatever can be cloned, and its errors keep what they have', async () => {
    const runner = open();
    expect(await run(runner, (_, a, b) => a + b, [1, 2])).toBe(3);
    expect(await run(runner, () => new Map([[1, { two: [3n] }]]))).toEqual(new Map([[1, { two: [3n] }]]));
    expect(await run(runner, async () => ({ list: [1, null, 3], none: undefined }))).toEqual({ list: [1, null, 3], none: undefined });
    const error = (await rejection(
      run(runner, () => {
        throw Object.assign(new RangeError('too far', { cause: new TypeError('inner') }), { code: 'FAR', extra: { deep: [1] } });
      }),
    )) as any;
    expect(error).toBeInstanceOf(RangeError);
    expect(error).toMatchObject({ message: 'too far', code: 'FAR', extra: { deep: [1] }, cause: { message: 'inner' } });
    expect(error.stack).toContain('RangeError: too far');
    expect(runner.stats()).toMatchObject({ submitted: 4, completed: 3, failed: 1 });
  });

  test('is a named error where it cannot be cloned, or is no error at all; and the next job is fine', async () => {
    const runner = open();
    const uncloneable = (await rejection(run(runner, () => () => {}, [], { name: 'odd' }))) as any;
    expect(uncloneable).toBeInstanceOf(JobResultError);
    expect(uncloneable).toMatchObject({ code: 'ERR_JOB_RESULT', job: 1, jobName: 'odd', cause: { name: 'DataCloneError' } });
    expect(await rejection(run(runner, () => Promise.reject(() => {})))).toMatchObject({
      code: 'ERR_JOB_RESULT',
      cause: { name: 'DataCloneError' },
    });
    expect(await rejection(run(runner, () => Promise.reject(undefined)))).toBeInstanceOf(JobError);
    expect(await rejection(run(runner, () => Promise.reject('a text')))).toBe('a text');
    expect(await run(runner, () => 1)).toBe(1);
    expect(runner.stats().threads).toBe(1);
  });

  test('may be moved, and so may its payload', async () => {
    const runner = open();
    const bytes = new Uint8Array([1, 2, 3]).buffer;
    const [size, back] = await runner.run<any, any>(
      job(async (_, buffer) => {
        const { move } = await load('piscina');
        return [buffer.byteLength, move === undefined];
      }, bytes),
      { transferList: [bytes] },
    );
    expect([size, back, bytes.byteLength]).toEqual([3, false, 0]);
    expect(await run(runner, async () => (await load('piscina')).move(new Uint8Array([7, 8]).buffer))).toEqual(
      new Uint8Array([7, 8]).buffer,
    );
  });

  test('is of the payload as it was at the call, and a payload that cannot be cloned submits nothing', async () => {
    const runner = open({ maxThreads: 1 });
    const payload = job((_, list) => list, [1]);
    const [first, second] = [runner.run<any, any>(payload), runner.run<any, any>(payload)];
    (payload.args[0] as number[])[0] = 2;
    expect(await Promise.all([first, second])).toEqual([[1], [1]]);
    for (const bad of [() => {}, { fine: 1, bad: Symbol('no') }, new WeakMap()])
      expect(await rejection(runner.run(bad as never))).toMatchObject({ name: 'DataCloneError' });
    expect(runner.stats().submitted).toBe(2);
  });
});

describe('a cancel', () => {
  test('of a job that waits is its end; of one that runs it is seen by its signal, and in a loop that never awaits', async () => {
    const runner = open({ maxThreads: 1 });
    await run(runner, () => 1);
    const [first, second] = [new AbortController(), new AbortController()];
    const running = run(runner, () => pause(60_000), [], { signal: first.signal });
    const waiting = run(runner, () => 'never', [], { signal: second.signal });
    const why = new Error('enough');
    second.abort(why);
    expect(await rejection(waiting)).toBe(why);
    expect(runner.stats()).toMatchObject({ running: 1, waiting: 0, cancelled: 1 });
    first.abort(why);
    expect(await rejection(running)).toBe(why);

    for (const loop of ['check', 'cancelled', 'nothing else'] as const) {
      const third = new AbortController();
      const spinning = run(
        runner,
        (context, how) => {
          // A compiler may read ahead of such a loop, and never in it.
          while (how === 'nothing else') context.check();
          for (const end = Date.now() + 60_000; Date.now() < end; )
            if (how === 'check') context.check();
            else if (context.cancelled) throw new Error('as asked');
        },
        [loop],
        { signal: third.signal },
      );
      await until(isRunning(runner));
      third.abort(why);
      expect(await rejection(spinning)).toBe(why);
    }
    expect(runner.stats()).toMatchObject({ cancelled: 5, killedThreads: 0 });
  });

  test('is thrown by the first check() after it, once the job knows of it', async () => {
    const runner = open();
    for (const checks of [0, 1, 30, 31, 32, 33]) {
      const abort = new AbortController();
      const begun = newFlag();
      const asks = run(
        runner,
        async (context, buffer, before) => {
          for (let n = 0; n < before; n++) context.check();
          const told = new Promise((resolve) => context.signal.addEventListener('abort', resolve));
          Atomics.store(new Int32Array(buffer), 0, 1);
          await told;
          context.check();
        },
        [begun.buffer, checks],
        { signal: abort.signal },
      );
      await until(() => Atomics.load(begun, 0) === 1);
      const why = new Error(`after ${checks}`);
      abort.abort(why);
      expect(await rejection(asks)).toBe(why);
    }
  });

  test('delivers a value that the job still gives, and rejects with the first reason if it fails instead', async () => {
    const runner = open();
    const signals = [new AbortController(), new AbortController()];
    const begun = [newFlag(), newFlag()];
    const value = run(
      runner,
      async (context, buffer) => {
        Atomics.store(new Int32Array(buffer), 0, 1);
        await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
        return context.signal.reason.message;
      },
      [begun[0].buffer],
      { signal: signals[0].signal },
    );
    const error = outcome(
      run(
        runner,
        async (context, buffer) => {
          Atomics.store(new Int32Array(buffer), 0, 1);
          await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
          throw new TypeError('something else');
        },
        [begun[1].buffer],
        { signal: signals[1].signal, timeout: 60_000 },
      ),
    );
    await until(() => begun.every((flag) => Atomics.load(flag, 0) === 1));
    for (const signal of signals) signal.abort(new Error('first'));
    expect(await value).toBe('first');
    expect((await error).error).toMatchObject({ message: 'first' });
    expect(runner.stats()).toMatchObject({ completed: 1, cancelled: 1 });
  });

  test('ends the thread of a job that does not end within its grace, and only then rejects', async () => {
    const runner = open();
    const ends: unknown[] = [];
    runner.on('thread', ({ event, reason }) => void (event === 'end' && ends.push(reason)));
    const abort = new AbortController();
    const begun = newFlag();
    const deaf = run(
      runner,
      (_, buffer) => {
        Atomics.store(new Int32Array(buffer), 0, 1);
        for (;;);
      },
      [begun.buffer],
      { signal: abort.signal, grace: 20 },
    );
    await until(() => Atomics.load(begun, 0) === 1);
    abort.abort(new Error('now'));
    expect(await rejection(deaf)).toMatchObject({ message: 'now' });
    expect(ends).toEqual(['killed']);
    expect(runner.stats()).toMatchObject({ killedThreads: 1, cancelled: 1, running: 0 });
    expect(await run(runner, () => 'fine')).toBe('fine');
  });

  test('is held back while a section is protected, and delivered right after', async () => {
    const runner = open();
    const abort = new AbortController();
    const begun = newFlag();
    const guarded = run(
      runner,
      async (context, buffer) => {
        const seen: unknown[] = [];
        const value = await context.protect(async () => {
          Atomics.store(new Int32Array(buffer), 0, 1);
          while (!context.cancelled) await new Promise((resolve) => setTimeout(resolve, 1));
          context.check();
          await new Promise((resolve) => setTimeout(resolve, 20));
          seen.push(context.signal.aborted);
          return 'kept';
        });
        return [...seen, value, context.signal.aborted, context.signal.reason.message];
      },
      [begun.buffer],
      { signal: abort.signal },
    );
    await until(() => Atomics.load(begun, 0) === 1);
    abort.abort(new Error('later'));
    expect(await guarded).toEqual([false, 'kept', true, 'later']);
  });

  test('by a timeout counts from the start of the job, and is a failure', async () => {
    const time = ownTime();
    const runner = open({ maxThreads: 1 });
    await run(runner, () => 1);
    const flag = newFlag();
    const waits = async (_: unknown, ends: Int32Array): Promise<void> => {
      while (Atomics.load(ends, 0) === 0) await pause(1);
    };
    const first = run(runner, waits, [flag]);
    const second = run(runner, () => 'in time', [], { timeout: 100 });
    const late = run(runner, () => pause(60_000), [], { timeout: 20, name: 'slow' });
    // The second one waits for longer than it may run.
    await time.pass(150);
    Atomics.store(flag, 0, 1);
    expect(await second).toBe('in time');
    await time.pending(late, 19);
    await time.pass(1);
    const error = await rejection(late);
    expect(error).toBeInstanceOf(JobTimeoutError);
    expect(error).toMatchObject({ code: 'ERR_JOB_TIMEOUT', jobName: 'slow' });
    await first;
    expect(runner.stats()).toMatchObject({ failed: 1, cancelled: 0 });
  });

  test('that comes before the call submits nothing', async () => {
    const runner = open();
    expect(await rejection(run(runner, () => 1, [], { signal: AbortSignal.abort('no') }))).toBe('no');
    expect(runner.stats().submitted).toBe(0);
  });
});

describe('faults', () => {
  test('what a job has left behind and ends its thread when no job runs there is an error event', async () => {
    const runner = open({ maxThreads: 1 });
    const errors: unknown[] = [];
    runner.on('error', (error) => errors.push(error.message));
    await run(runner, () => {
      setTimeout(() => {
        throw new TypeError('left behind');
      }, 20);
      return 'done';
    });
    await until(() => errors.length > 0);
    expect(errors).toEqual(['left behind']);
    expect(await run(runner, () => 'next')).toBe('next');
  });

  test('what a job sets in its async context is not set for the next one', async () => {
    for (const pools of [{}, { pool: await createPool({ factory: async () => ({}), max: 1 }) }]) {
      const runner = open({ maxThreads: 1, pools });
      const seen = [];
      for (const name of ['alice', 'bob', undefined])
        seen.push(
          await run(
            runner,
            async (_, who) => {
              const { AsyncLocalStorage: Storage } = await load('node:async_hooks');
              (globalThis as any).who ??= new Storage();
              const before = (globalThis as any).who.getStore();
              if (who !== undefined) (globalThis as any).who.enterWith(who);
              await pause(1);
              return [before, (globalThis as any).who.getStore()];
            },
            [name],
          ),
        );
      // One that sets it before anything is awaited, in the context in which the job was called.
      await run(runner, () => void (globalThis as any).who.enterWith('carol'));
      seen.push(await run(runner, () => [(globalThis as any).who.getStore()]));
      expect(seen).toEqual([[undefined, 'alice'], [undefined, 'bob'], [undefined, undefined], [undefined]]);
    }
  });

  test('each has an error of its own, and the next job is fine', async () => {
    const runner = open({ maxThreads: 1, resourceLimits: { maxOldGenerationSizeMb: 40 } });
    const died = await rejection(run(runner, () => process.exit(3), [], { name: 'leaver' }));
    expect(died).toBeInstanceOf(JobLostError);
    expect(died).toMatchObject({ code: 'ERR_JOB_LOST', because: 'died', exitCode: 3, jobName: 'leaver' });
    const uncaught = await rejection(
      run(runner, () => {
        setTimeout(() => {
          throw new TypeError('in a timer');
        });
        return pause(60_000);
      }),
    );
    expect(uncaught).toMatchObject({ code: 'ERR_JOB_LOST', because: 'died', cause: { message: 'in a timer' } });
    const rejected = await rejection(
      run(runner, () => {
        void Promise.reject(new RangeError('of nobody'));
        return pause(60_000);
      }),
    );
    expect(rejected).toMatchObject({ because: 'died', cause: { message: 'of nobody' } });
    expect(await run(runner, () => 'fine')).toBe('fine');
    const greedy = (context: { attempt: number }) => {
      const kept: unknown[] = [];
      while (context.attempt === 1) kept.push(new Array(100_000).fill(Math.random()));
      return `attempt ${context.attempt}`;
    };
    expect(await rejection(run(runner, greedy))).toMatchObject({ because: 'memory' });
    expect(await run(runner, greedy, [], { retryLost: 1 })).toBe('attempt 2');
    expect(runner.stats()).toMatchObject({ lost: 4, retried: 1, completed: 2, killedThreads: 0 });
  });

  test('of a neighbour: the others on its thread are lost, or run again', async () => {
    const runner = open({ maxThreads: 1, concurrentTasksPerWorker: 3 });
    const abort = new AbortController();
    const begun = newFlag();
    await run(runner, () => 1);
    const deaf = run(
      runner,
      async (context, buffer) => {
        Atomics.store(new Int32Array(buffer), 0, 1);
        await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
        await new Promise(() => {});
      },
      [begun.buffer],
      { signal: abort.signal, grace: 20 },
    );
    const lost = run(runner, () => pause(60_000));
    const again = run(runner, (context) => (context.attempt === 1 ? pause(60_000) : context.attempt), [], { retryLost: 2 });
    await until(() => Atomics.load(begun, 0) === 1 && runner.stats().running === 3);
    abort.abort(new Error('mine'));
    expect(await rejection(deaf)).toMatchObject({ message: 'mine' });
    expect(await rejection(lost)).toMatchObject({ code: 'ERR_JOB_LOST', because: 'neighbour' });
    expect(await again).toBe(2);
    expect(runner.stats()).toMatchObject({ cancelled: 1, lost: 1, retried: 1, killedThreads: 1 });
  });
});

test('more jobs than may wait are refused; those for which there is a thread do not count', async () => {
  const runner = open({ maxThreads: 1, maxQueue: 1 });
  const all = [1, 2, 3, 4].map((n) => outcome(run(runner, (_, value) => value, [n])));
  const results = await Promise.all(all);
  expect(results.map(({ value }) => value)).toEqual([1, 2, undefined, undefined]);
  for (const { error } of results.slice(2)) expect(error).toBeInstanceOf(JobQueueFullError);
  expect(runner.stats()).toMatchObject({ submitted: 2, completed: 2 });
});

test('progress comes at most once in an interval, the last one always and before the end, in the async context of its caller', async () => {
  const runner = open({ progressInterval: 30 });
  const storage = new AsyncLocalStorage<string>();
  const told: { message?: string; caller: unknown }[] = [];
  runner.on('progress', () => {
    throw new Error('of a listener');
  });
  const errors: unknown[] = [];
  runner.on('error', (error) => errors.push(error.message));
  runner.on('progress', (progress) => told.push({ ...progress, caller: storage.getStore() }));
  const work = async (context: any, said: boolean) => {
    for (let done = 1; done <= 40; done++) {
      context.progress(done, 40, said ? `at ${done}` : undefined);
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    context.progress(41, undefined, said ? 'all' : undefined);
  };
  for (const said of [false, true]) {
    told.length = 0;
    let began = performance.now();
    await storage.run('caller', () => run(runner, work, [said], { name: 'bar' }));
    const intervals = (performance.now() - began) / 30;
    expect(told.at(-1)).toEqual({ job: said ? 3 : 1, name: 'bar', done: 41, caller: 'caller', ...(said ? { message: 'all' } : {}) });
    expect(told.length).toBeLessThan(intervals + 3);
    // The first of them may be seen before its message has come.
    const messages = told.flatMap(({ message }) => (message === undefined ? [] : [message]));
    for (const message of messages) expect(message).toMatch(/^(at \d+|all)$/);
    if (!said) expect(messages).toEqual([]);
    began = told.length;
    await run(runner, () => 1);
    expect(told.length).toBe(began);
  }
  expect(errors).toContain('of a listener');
  whole(runner);
});

test('options are checked, and the message names them', async () => {
  expect(() => open({ grace: -1 })).toThrow('grace must be from 0 to 2147483647');
  expect(() => open({ filename: 1 as never })).toThrow('filename must be the path or URL');
  expect(() => open({ maxThread: 1 } as never)).toThrow('do you mean maxThreads?');
  expect(() => open({ taskQueue: 1 } as never)).toThrow('the queue is the runner’s own');
  expect(() => open({ recycleAfter: { jobs: 0 } })).toThrow('recycleAfter.jobs must be a whole number from 1');
  expect(() => open({ pools: { db: 1 } as never })).toThrow('pools.db must be what createPool or createPgPool gives');
  const runner = open();
  expect(await rejection(runner.run(1, { timeout: 2 ** 31 }))).toBeInstanceOf(RangeError);
  expect(await rejection(runner.run(1, { signal: 1 as never }))).toBeInstanceOf(TypeError);
  expect(await rejection(runner.run(1, { timeuot: 1 } as never))).toMatchObject({
    message: expect.stringContaining('do you mean timeout?'),
  });
  expect(() => runner.map(1 as never)).toThrow('map takes an iterable');
  expect(() => runner.map([], { concurrency: 0 })).toThrow('concurrency must be a whole number from 1');
  expect(() => runner.on('progres' as never, () => {})).toThrow('a runner has no event');
});
