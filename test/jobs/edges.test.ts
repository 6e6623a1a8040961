// What comes at a bad moment, cannot be read, or goes on for ever.
import { spawnSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { fileURLToPath } from 'node:url';
import { JobError, JobResultError, RunnerClosedError } from 'cenote/jobs';
import { move } from 'piscina';
import { describe, expect, test } from 'vitest';
import { Listeners } from '../../dist/jobs/listeners.js';
import { BELL, NO_BELL } from '../../dist/jobs/protocol.js';
import { RunnerThread } from '../../dist/jobs/runner-thread.js';
import { deafSignal, hastySignal, shySignal } from '../support/signals.ts';
import { outcome, rejection, settled, until } from '../support/wait.ts';
import { isRunning, job, newFlag, open, run, whole } from './support.ts';

describe.each([
  ['cannot be listened to', deafSignal],
  ['aborts as soon as it is listened to', hastySignal],
])('a signal that %s', (_, signalOf) => {
  const why = new Error('no');
  const endless = job(({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))));

  test('cancels the job that is run with it, whether that has begun or waits', async () => {
    const runner = open({ maxThreads: 1 });
    const signal = signalOf(why);
    // What the first left behind does not keep the second from being told.
    const both = [runner.run(endless, { signal }), runner.run(endless, { signal })];
    for (const each of both) expect(await rejection(each)).toBe(why);
    await until(() => runner.stats().running === 0);
    whole(runner);
    expect(runner.stats()).toMatchObject({ completed: 0, waiting: 0 });
  });

  test('ends a scope, and the one around it goes on', async () => {
    const runner = open();
    const inner = { reason: undefined as unknown };
    const done = runner.scope(async (scope) => {
      inner.reason = await scope.scope((within) => within.run(endless), { signal: signalOf(why) }).catch((error) => error);
      return run(scope, () => 'goes on');
    });
    expect(await settled(done)).toBe('goes on');
    expect(inner.reason).toBe(why);
  });

  test('ends a map', async () => {
    const runner = open();
    const results = runner.map([endless, endless], { signal: signalOf(why) });
    expect(await rejection(Promise.resolve().then(() => results.next()))).toBe(why);
    expect(await settled(results.next())).toMatchObject({ done: true });
  });
});

test('a signal that throws when it is asked again cancels the job that is run with it', async () => {
  const runner = open({ maxThreads: 1 });
  const why = new Error('no');
  const signal = shySignal(2, why);
  expect(await rejection(run(runner, () => new Promise(() => {}), [], { signal, grace: 0 }))).toBe(why);
});

describe('a payload', () => {
  const withGetter = (get: () => unknown) => ({
    ...job(() => 'done'),
    get args() {
      get();
      return [];
    },
  });

  test('may run code while it is cloned: the job is submitted as a whole, or not at all', async () => {
    const runner = open({ maxThreads: 1 });
    await run(runner, () => 1);
    let inner: Promise<unknown> | undefined;
    const submits = withGetter(() => {
      whole(runner);
      inner ??= run(runner, () => 'inner');
    });
    expect(await settled(runner.run(submits))).toBe('done');
    expect(await settled(inner!)).toBe('inner');
    const why = new RangeError('in a getter');
    const throws = withGetter(() => {
      throw why;
    });
    expect(await rejection(runner.run(throws))).toBe(why);
    const abort = new AbortController();
    expect(
      await settled(
        outcome(
          runner.run(
            withGetter(() => abort.abort(why)),
            { signal: abort.signal },
          ),
        ),
      ),
    ).toBeDefined();
    whole(runner);
    expect(runner.stats()).toMatchObject({ submitted: 4, running: 0, waiting: 0 });
    // A thread is there, so the job has started; where none is, the runner is closed by the time it would wait.
    expect(await settled(runner.run(withGetter(() => void runner.close())))).toBe('done');
    const fresh = open({ maxThreads: 1 });
    expect(await rejection(fresh.run(withGetter(() => void fresh.close())))).toBeInstanceOf(RunnerClosedError);
  });

  test('of Piscina.move is moved, at once or when it has waited', async () => {
    const runner = open({ maxThreads: 1, filename: new URL('./echo-job.js', import.meta.url) });
    for (const round of ['waits for a thread', 'has one']) {
      const bytes = new Uint8Array([1, 2, 3]);
      expect(await runner.run(move(bytes)), round).toEqual(new Uint8Array([1, 2, 3]));
      expect(bytes.byteLength).toBe(0);
    }
  });
});

describe('what a thread has not the stack to read', () => {
  const DEEP = '(() => { let deep = {}; for (let n = 0; n < 9000; n++) deep = { deep }; return deep; })()';

  test('of a payload: it is refused at the call, or the job is lost and the error says why', async () => {
    const runner = open({ maxThreads: 1, resourceLimits: { stackSizeMb: 1 } });
    const ends = new Set<string>();
    let deep = {};
    for (let level = 1; level <= 4000; level++) {
      deep = { deep };
      if (level % 250 > 0) continue;
      const { value, error } = await settled(outcome(run(runner, () => 'read', [deep])));
      const { code, cause, message } = (error ?? {}) as { code?: string; cause?: Error; message?: string };
      const isToldWhy = code === 'ERR_JOB_LOST' && /could not be read/.test(cause!.message);
      expect(value === 'read' || isToldWhy || message === 'Maximum call stack size exceeded', `${level} levels: ${value ?? error}`).toBe(
        true,
      );
      ends.add(code ?? message ?? 'read');
    }
    expect(ends).toContain('read');
    expect(ends.size).toBeGreaterThan(1);
  });

  test('of a result: the job fails, and the thread goes on', async () => {
    const runner = open({ maxThreads: 1 });
    const error = await rejection(runner.run({ code: `() => ${DEEP}`, args: [] }));
    expect(error).toBeInstanceOf(JobResultError);
    expect(error).toMatchObject({ code: 'ERR_JOB_RESULT', job: 1, cause: { name: 'RangeError' } });
    expect(await run(runner, () => 'next')).toBe('next');
    expect(runner.stats()).toMatchObject({ threads: 1, failed: 1 });
  });

  test('of a result, where several jobs run there: the thread is ended, and says why', async () => {
    const runner = open({ maxThreads: 1, concurrentTasksPerWorker: 2 });
    const other = run(runner, () => pause(60_000));
    expect(await rejection(runner.run({ code: `() => ${DEEP}`, args: [] }))).toMatchObject({
      code: 'ERR_JOB_LOST',
      because: 'died',
      cause: { message: expect.stringContaining('cannot be read') },
    });
    expect(await rejection(other)).toMatchObject({ code: 'ERR_JOB_LOST' });
    expect(await run(runner, () => 'next')).toBe('next');
  });
});

test('a job’s file that throws undefined is an error that says so', async () => {
  const runner = open({ filename: new URL('data:text/javascript,throw undefined') });
  const error = await rejection(runner.run(1));
  expect(error).toBeInstanceOf(JobError);
  expect(error).toMatchObject({ message: expect.stringContaining('has thrown undefined while it was loaded') });
});

describe('map', () => {
  /** Gives one payload, and then nothing, for ever. */
  async function* stuck() {
    yield job(() => 'one');
    await new Promise(() => {});
  }
  const never = new Promise(() => {});

  test('does not wait for ever for a source that is about to give something: when it is left, nor when a job fails', async () => {
    const runner = open({ maxThreads: 1, grace: 30 });
    const left = async (): Promise<string> => {
      for await (const value of runner.map<unknown, string>(stuck())) return value;
      return 'nothing';
    };
    expect(await settled(left())).toBe('one');
    const fails = { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(steps.shift() ?? never) }) };
    const steps: unknown[] = [{ done: false, value: job(() => Promise.reject(new Error('of the job'))) }];
    expect(await rejection(runner.map(fails as never).next())).toMatchObject({ message: 'of the job' });
  });

  test('takes no result of a source that is none, and closes one whose value rejects', async () => {
    const runner = open({ maxThreads: 1 });
    for (const result of [undefined, 5])
      for (const of of [Symbol.iterator, Symbol.asyncIterator])
        expect(await rejection(runner.map({ [of]: () => ({ next: () => result }) } as never).next())).toMatchObject({
          message: expect.stringContaining('which is no result'),
        });
    let isClosed = false;
    function* source() {
      try {
        yield Promise.reject(new Error('of a value'));
      } finally {
        isClosed = true;
      }
    }
    expect(await rejection(runner.map(source()).next())).toMatchObject({ message: 'of a value' });
    expect(isClosed).toBe(true);
  });
});

test('where several jobs share a thread, one that looks for the reason of its cancel finds jobs in the port: they have their turn', async () => {
  const runner = open({ maxThreads: 1, concurrentTasksPerWorker: 3 });
  await run(runner, () => 1);
  const [first, second] = [new AbortController(), new AbortController()];
  const [begun, told] = [newFlag(), newFlag()];
  const spins = run(
    runner,
    (context, flag, go) => {
      Atomics.store(new Int32Array(flag), 0, 1);
      while (Atomics.load(new Int32Array(go), 0) === 0);
      context.check();
    },
    [begun.buffer, told.buffer],
    { signal: first.signal },
  );
  await until(() => Atomics.load(begun, 0) === 1);
  // All of it lies in the port, in this order, when the first job looks there.
  const never = run(runner, () => 'never', [], { signal: second.signal });
  const third = run(runner, (context) => [context.job, context.cancelled]);
  second.abort(new Error('second'));
  first.abort(new Error('first'));
  Atomics.store(told, 0, 1);
  expect(await rejection(spins)).toMatchObject({ message: 'first' });
  expect(await rejection(never)).toMatchObject({ message: 'second' });
  expect(await settled(third)).toEqual([4, false]);
  expect(runner.stats()).toMatchObject({ killedThreads: 0, cancelled: 2, completed: 2 });
});

test('a pool that a job attaches to is rung for its cancels until the job detaches', async () => {
  const bell = new Int32Array(new SharedArrayBuffer(8));
  const { port1, port2 } = new MessageChannel();
  const thread = new RunnerThread(1, port1);
  const arrived = (messages: number): Promise<void> =>
    new Promise((resolve) => port1.on('message', () => void (--messages === 0 && resolve())));
  for (const message of [
    [BELL, 1, bell.buffer, 0],
    [BELL, 2, bell.buffer, 1],
    [NO_BELL, 1],
  ])
    port2.postMessage(message);
  await arrived(3);
  thread.cancel(0, 1, new Error('why'));
  expect([...bell].map((word) => word !== 0)).toEqual([false, true]);
  port1.close();
});

test('a listener of its last progress does not cancel a job that has ended', async () => {
  // There is no look at the progress while the job runs: its end is the only one.
  const runner = open({ maxThreads: 1, grace: 0, progressInterval: 1_000_000 });
  const abort = new AbortController();
  runner.on('progress', ({ done }) => void (done === 2 && abort.abort()));
  expect(
    await run(
      runner,
      (context) => {
        context.progress(2);
        return 'done';
      },
      [],
      { signal: abort.signal },
    ),
  ).toBe('done');
  expect(runner.stats()).toMatchObject({ completed: 1, killedThreads: 0, threads: 1 });
});

test('messages of progress come, however often a job says one', async () => {
  const runner = open({ maxThreads: 1, progressInterval: 20 });
  const messages: unknown[] = [];
  runner.on('progress', ({ message }) => void (message !== undefined && messages.push(message)));
  const abort = new AbortController();
  const says = run(
    runner,
    async (context) => {
      for (let n = 1; !context.cancelled; n++) {
        context.progress(n, undefined, `at ${n}`);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      context.check();
    },
    [],
    { signal: abort.signal },
  );
  await until(() => messages.length >= 5);
  abort.abort();
  await rejection(says);
  expect(new Set(messages).size).toBe(messages.length);
});

test('listeners that remove each other, or make the event happen again, hear what those of an EventEmitter do', async () => {
  const results: string[][] = [];
  for (const emitter of [new Listeners(() => {}), new EventEmitter()]) {
    const heard: string[] = [];
    const add = (name: string, isOnce: boolean, then = () => {}): (() => void) => {
      const listener = (): void => {
        heard.push(name);
        then();
      };
      if (emitter instanceof EventEmitter) emitter[isOnce ? 'once' : 'on']('thread', listener);
      else emitter.add('thread', listener, isOnce);
      return () => void (emitter instanceof EventEmitter ? emitter.off('thread', listener) : emitter.remove('thread', listener));
    };
    const emit = (): unknown => (emitter as EventEmitter).emit('thread', { threadId: 1, event: 'start' });
    const removals: (() => void)[] = [];
    add('removes', true, () => {
      for (const remove of removals) remove();
    });
    removals.push(add('removed, for one event', true), add('removed', false));
    add('again', true, () => void emit());
    add('for one event', true);
    add('stays', false);
    emit();
    emit();
    results.push(heard);
  }
  expect(results[0]).toEqual(results[1]);
  expect(results[0]!.filter((name) => name === 'stays')).toHaveLength(3);
});

test('a listener must be a function', () => {
  const runner = open();
  expect(() => runner.on('error', 5 as never)).toThrow('a listener must be a function, not 5');
  expect(() => runner.on('nothing' as never, () => {})).toThrow('a runner has no event "nothing"');
});

test('a process that only waits for a job whose thread dies lives until it has been told', () => {
  const text = `
    import { JobRunner } from 'cenote/jobs';
    const runner = new JobRunner({ filename: ${JSON.stringify(fileURLToPath(new URL('./any-job.js', import.meta.url)))}, maxThreads: 1, retryLost: 1 });
    const exits = { code: '() => new Promise(() => setTimeout(process.exit, 20))', args: [] };
    console.log(await runner.run(exits).catch(({ code }) => code));
  `;
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '-e', text], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect([stdout, status]).toEqual(['ERR_JOB_LOST\n', 0]);
});

test('a job that is cancelled while its thread loads never begins', async () => {
  const runner = open({ maxThreads: 1 });
  const abort = new AbortController();
  const waits = run(runner, () => 'never', [], { signal: abort.signal });
  abort.abort(new Error('early'));
  expect(await rejection(waits)).toMatchObject({ message: 'early' });
  expect(isRunning(runner, 0)()).toBe(true);
});
