import { type JobScope, JobTimeoutError, RunnerClosedError, ScopeClosedError } from 'cenote/jobs';
import { describe, expect, test } from 'vitest';
import { outcome, pendingUntil, rejection, settled, until } from '../support/wait.ts';
import { type Body, isRunning, job, newFlag, open, run } from './support.ts';

const long = job(() => pause(60_000));
const failing = job(() => {
  throw new RangeError('first');
});

describe('a scope', () => {
  test('gives the value of its body when all its jobs have ended, those that nothing awaits too', async () => {
    const runner = open();
    let inner = 0;
    const value = await runner.scope(async (scope) => {
      for (let n = 0; n < 5; n++) void scope.run(job(() => pause(5)));
      void scope.scope(async (deeper) => {
        await deeper.run(job(() => pause(20)));
        inner = scope.active;
      });
      expect(scope.active).toBe(6);
      return 'body';
    });
    expect(value).toBe('body');
    expect(inner).toBeGreaterThanOrEqual(0);
    expect(runner.stats()).toMatchObject({ completed: 6, running: 0, waiting: 0 });
  });

  test('cancels the rest when one job fails, and throws the first error, whoever awaits what', async () => {
    const runner = open();
    let jobs: Promise<unknown>[] = [];
    const error = await rejection(
      runner.scope(async (scope) => {
        jobs = [scope.run(long), scope.run(failing), scope.run(long)];
        await jobs[0];
      }),
    );
    expect(error).toMatchObject({ name: 'RangeError', message: 'first' });
    expect((await Promise.all(jobs.map((each) => outcome(each)))).map((each) => each.error)).toEqual([error, error, error]);
    expect(runner.stats()).toMatchObject({ failed: 1, cancelled: 2, running: 0, waiting: 0 });
  });

  test('cancels and awaits the rest when its body throws', async () => {
    const runner = open();
    const why = new Error('body');
    const error = await rejection(
      runner.scope(async (scope) => {
        void scope.run(long);
        await until(isRunning(runner));
        throw why;
      }),
    );
    expect(error).toBe(why);
    expect(runner.stats()).toMatchObject({ cancelled: 1, running: 0 });
  });

  test('in the mode independent leaves errors to the single promises', async () => {
    const runner = open();
    const results = await runner.scope((scope) => Promise.allSettled([scope.run(failing), scope.run(job(() => 'fine'))]), {
      mode: 'independent',
    });
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
  });

  test('does not fail by the cancel of a job, or of an inner scope whose error the body takes', async () => {
    const runner = open();
    const abort = new AbortController();
    const seen = await runner.scope(async (scope) => {
      const cancelled = scope.run(long, { signal: abort.signal });
      await until(isRunning(runner));
      abort.abort(new Error('only this one'));
      const first = await rejection(cancelled);
      const second = await rejection(scope.scope((inner) => inner.run(failing)));
      return [first, second, await scope.run(job(() => 'goes on'))];
    });
    expect(seen).toMatchObject([{ message: 'only this one' }, { message: 'first' }, 'goes on']);
  });

  test('is cancelled downwards only; the first reason stands; its body may go on and give its value', async () => {
    const runner = open({ maxThreads: 3 });
    const why = new Error('down');
    const value = await runner.scope(async (scope) => {
      const abort = new AbortController();
      const begun = newFlag();
      const waits: Body = (_, buffer) => {
        Atomics.store(new Int32Array(buffer), 0, 1);
        return pause(60_000).catch(() => 'beside');
      };
      const beside = scope.run(job(waits, begun.buffer), { signal: abort.signal });
      const inner = await scope.scope(async (middle) => {
        const jobs = [middle.run(long), outcome(middle.scope((deepest) => deepest.run(long)))];
        await until(isRunning(runner, 3));
        const signal = middle.signal;
        const done = middle.cancel(why);
        void middle.cancel(new Error('another'));
        await done;
        expect(signal.reason).toBe(why);
        expect(await rejection(jobs[0])).toBe(why);
        expect(await jobs[1]).toEqual({ error: why });
        expect(await rejection(middle.run(1))).toBeInstanceOf(ScopeClosedError);
        return 'taken';
      });
      await until(() => Atomics.load(begun, 0) === 1);
      abort.abort();
      return [inner, await beside];
    });
    expect(value).toEqual(['taken', 'beside']);
  });

  test('ends by its timeout, or by its signal, even if its body does not', async () => {
    const runner = open({ grace: 20 });
    const late = await rejection(
      runner.scope(
        async (scope) => {
          void scope.run(long);
          await new Promise(() => {});
        },
        { timeout: 50, name: 'slow' },
      ),
    );
    expect(late).toBeInstanceOf(JobTimeoutError);
    expect(late).toMatchObject({ job: 0, jobName: 'slow' });
    const abort = new AbortController();
    const stopped = runner.scope((scope) => scope.run(long), { signal: abort.signal });
    await until(isRunning(runner));
    abort.abort('stop');
    expect(await rejection(stopped)).toBe('stop');
    let ran = false;
    expect(await rejection(runner.scope(() => (ran = true), { signal: AbortSignal.abort('before') }))).toBe('before');
    expect(ran).toBe(false);
  });

  test('runs only so many of its jobs at once, inner scopes included', async () => {
    const runner = open({ maxThreads: 3 });
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, runner.stats().running);
    }, 1);
    await runner.scope(
      async (scope) => {
        for (let n = 0; n < 6; n++) void scope.run(job(() => pause(5)));
        await scope.scope(
          async (inner) => {
            for (let n = 0; n < 4; n++) void inner.run(job(() => pause(5)));
          },
          { concurrency: 1 },
        );
      },
      { concurrency: 2 },
    );
    clearInterval(watch);
    expect(most).toBeLessThanOrEqual(2);
    expect(runner.stats().completed).toBe(10);
  });

  test('takes no job after its end, nor on a closed runner', async () => {
    const runner = open();
    let escaped: any;
    await runner.scope((scope) => void (escaped = scope));
    expect(await rejection(escaped.run(1))).toMatchObject({ code: 'ERR_SCOPE_CLOSED' });
    expect(await rejection(escaped.scope(() => 1))).toBeInstanceOf(ScopeClosedError);
    expect(escaped.active).toBe(0);
    const flag = newFlag();
    const waits: Body = async (_, ends: Int32Array) => {
      while (Atomics.load(ends, 0) === 0) await pause(1);
      return 'finished';
    };
    await settled(
      runner.scope(async (scope) => {
        const running = scope.run(job(waits, flag));
        await until(isRunning(runner));
        const closing = runner.close();
        Atomics.store(flag, 0, 1);
        await closing;
        expect(await running).toBe('finished');
      }),
    );
    expect(await rejection(runner.scope(() => 1))).toBeInstanceOf(RunnerClosedError);
    expect(await rejection(run(runner, () => 1))).toBeInstanceOf(RunnerClosedError);
  });

  describe.each(['its thread is there', 'it has to wait'])('where a payload runs code as it is cloned, and %s', (state) => {
    /** The payload of a job that goes on until it is cancelled. */
    const withGetter = (get: () => void) => ({
      ...long,
      get args() {
        get();
        return [];
      },
    });
    async function opened() {
      const runner = open({ maxThreads: 1 });
      const abort = new AbortController();
      await run(runner, () => 1);
      if (state === 'it has to wait') void outcome(runner.run(long, { signal: abort.signal }));
      return { runner, free: () => abort.abort() };
    }

    test('a scope ends whose job is cancelled by that', async () => {
      const { runner, free } = await opened();
      const abort = new AbortController();
      let active: number | undefined;
      await settled(
        runner.scope(async (scope) => {
          const cancelled = scope.run(
            withGetter(() => abort.abort('early')),
            { signal: abort.signal },
          );
          expect(await rejection(cancelled)).toBe('early');
          active = scope.active;
        }),
      );
      expect(active).toBe(0);
      free();
    });

    test('a scope that is cancelled by that ends the job, too', async () => {
      const { runner, free } = await opened();
      let left: number | undefined;
      await settled(
        runner.scope(async (scope) => {
          let cancelled: Promise<void> | undefined;
          const job = outcome(
            scope.run(
              withGetter(() => {
                cancelled ??= scope.cancel('all of it');
              }),
            ),
          );
          await cancelled;
          left = scope.active;
          expect((await job).error).toBe('all of it');
        }),
      );
      expect(left).toBe(0);
      free();
      await until(isRunning(runner, 0));
    });

    test('a scope takes none that cannot be cloned, and ends', async () => {
      const { runner, free } = await opened();
      const why = new RangeError('in a getter');
      const throws = withGetter(() => {
        throw why;
      });
      expect(await rejection(runner.scope((scope) => void scope.run(throws)))).toBe(why);
      free();
    });

    test('a map that is left by that ends the job, too', async () => {
      const { runner, free } = await opened();
      const before = runner.stats().running;
      let left: Promise<unknown> | undefined;
      const map: AsyncIterableIterator<unknown> = runner.map([
        withGetter(() => {
          left ??= map.return?.();
        }),
      ]);
      void map.next();
      await settled(left!);
      expect(runner.stats()).toMatchObject({ running: before, waiting: 0 });
      free();
    });
  });

  /** Ends when its flag is set, and says that it has begun. */
  const held: Body = async (_, begun: Int32Array, ends: Int32Array) => {
    Atomics.store(begun, 0, 1);
    while (Atomics.load(ends, 0) === 0) await pause(1);
    return 'held';
  };

  // Each begins with one short job, and when that has ended does what `next` does. Nothing awaits it.
  test.each<[string, (scope: JobScope, next: () => Promise<unknown>) => Promise<unknown>]>([
    [
      'one job after another',
      async (scope, next) => {
        await scope.run(job(() => 1));
        await next();
      },
    ],
    [
      'one after another by a long chain of promises',
      async (scope, next) => {
        let last = scope.run(job(() => 1));
        for (let n = 0; n < 100; n++) last = last.then(async (value) => value);
        await last.finally(() => {});
        await next();
      },
    ],
    [
      'a loop over a map of one at a time',
      async (scope, next) => {
        for await (const number of scope.map(
          [1, 2, 3].map((each) => job((_, value) => value, each)),
          { concurrency: 1 },
        ))
          if (number === 3) await next();
      },
    ],
    [
      'a scope in it, and then a job',
      async (scope, next) => {
        await scope.scope((inner) => inner.run(job(() => 1)));
        await next();
      },
    ],
    [
      'jobs in the next tick of each other',
      async (scope, next) => {
        await scope.run(job(() => 1));
        await new Promise<void>((resolve) => process.nextTick(resolve));
        await next();
      },
    ],
    ['nothing yet', (_, next) => Promise.resolve().then(next)],
  ])('has not ended while what its body has begun goes on: %s', async (_, begin) => {
    const runner = open();
    const [begun, ends] = [newFlag(), newFlag()];
    const scope = runner.scope((own) => void begin(own, () => own.run(job(held, begun, ends))).catch(() => {}));
    await pendingUntil(
      until(() => Atomics.load(begun, 0) === 1),
      scope,
    );
    Atomics.store(ends, 0, 1);
    await settled(scope);
    expect(runner.stats()).toMatchObject({ running: 0, waiting: 0, failed: 0 });
    // A scope in a scope, too; and the failure of a job that has begun so late is the scope's.
    const fails = (own: JobScope): void => void begin(own, () => own.run(failing)).catch(() => {});
    expect(await rejection(runner.scope((outer) => outer.scope(fails)))).toMatchObject({ message: 'first' });
  });
});
