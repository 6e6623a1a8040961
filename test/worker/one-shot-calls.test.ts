/** pool.call: the owner borrows, calls and gives back on behalf of a thread. */
import { MessagePort } from 'node:worker_threads';
import { expect, onTestFinished, test, vi } from 'vitest';
import { expectWhole, open, record } from '../support/pools.ts';
import { thread, threads } from '../support/thread.ts';
import { rejection, settled, turns, until } from '../support/wait.ts';

class Desk {
  static last = 0;
  readonly id = ++Desk.last;
  readonly log: string[] = [];
  gates: (() => void)[] = [];
  note(text: string): string {
    this.log.push(text);
    return `${text}!`;
  }
  async slow(text: string): Promise<string> {
    await new Promise<void>((resolve) => this.gates.push(resolve));
    return this.note(text);
  }
  fail(): void {
    throw Object.assign(new RangeError('not today'), { code: 'EDESK', detail: { deep: true } });
  }
  give(): unknown {
    return () => {};
  }
}
const desks = (max: number, options: object = {}) => open<Desk>({ factory: () => new Desk(), max, ...options });

test('a one-shot call borrows, calls and gives back; on the owner, too', async () => {
  const pool = await desks(1);
  const worker = await thread(pool);
  expect(await worker.run(({ pool }) => pool.call('note', ['from a worker']))).toBe('from a worker!');
  expect(await pool.call('note', ['from the owner'])).toBe('from the owner!');
  const desk = await pool.acquire();
  expect(desk.log).toEqual(['from a worker', 'from the owner']);
  pool.release(desk);
  expect(pool.stats()).toMatchObject({ acquired: 3, released: 3, idle: 1, waiting: 0 });
});

test('a one-shot call is one message there and one back', async () => {
  const pool = await desks(2);
  const worker = await thread(pool);
  await worker.run(({ pool }) => pool.call('note', ['warm']));
  const post = vi.spyOn(MessagePort.prototype, 'postMessage');
  onTestFinished(() => post.mockRestore());
  const sent = await worker.run(async ({ pool, sent }) => (await sent(() => pool.call('note', ['one']))).length);
  // What the test tells its thread goes by another port, and is no list.
  const answers = post.mock.calls.filter(([message]) => Array.isArray(message));
  expect([sent, answers.length]).toEqual([1, 1]);
});

test('of the one-shot calls of one tick the first goes at once, so that the owner wakes while the others are put together in one message', async () => {
  const pool = await desks(2);
  const worker = await thread(pool);
  const sent = await worker.run(async ({ pool, sent }) => {
    await pool.call('note', ['warm']);
    const messages = await sent(() => Promise.all(['one', 'two', 'three', 'four'].map((text) => pool.call('note', [text]))));
    return messages.map((requests) => requests.length);
  });
  expect(sent).toEqual([1, 3]);
});

test('one-shot calls and acquires of all threads are served in the order in which they were asked for', async () => {
  const pool = await desks(1);
  const order: string[] = [];
  const [one, two] = await threads(2, pool);
  const held = await pool.acquire();
  const served: Promise<unknown>[] = [];
  for (const [index, who] of [one, two, one, two].entries()) {
    served.push(
      index % 2 === 0
        ? who.run(({ pool }, text) => pool.call('note', [text]), `one-shot call ${index}`)
        : who.run(async ({ pool }, text) => pool.use((desk) => desk.note(text)), `acquire ${index}`),
    );
    await until(() => pool.waitingCount() === index + 1);
  }
  served.push(pool.call('note', ['owner 4']));
  await until(() => pool.waitingCount() === 5);
  pool.release(held);
  await settled(Promise.all(served));
  await pool.use((desk) => order.push(...desk.log));
  expect(order).toEqual(['one-shot call 0', 'acquire 1', 'one-shot call 2', 'acquire 3', 'owner 4']);
});

test('what nobody has time to pick up does not hold up the line: the owner runs it while the caller is busy', async () => {
  const pool = await desks(1);
  const worker = await thread(pool);
  const held = await pool.acquire();
  const busy = worker.run(({ pool, block, tell }) => {
    const call = pool.call('note', ['while busy']);
    queueMicrotask(() => {
      tell('blocked');
      block(1);
    });
    return call;
  });
  await until(() => worker.told.length === 1 && pool.waitingCount() === 1);
  pool.release(held);
  await settled(pool.use((desk) => expect(desk.log).toEqual(['while busy'])));
  worker.raise(1);
  expect(await busy).toBe('while busy!');
});

test('what the method throws arrives whole, and the resource is kept', async () => {
  const pool = await desks(1);
  const worker = await thread(pool);
  expect(await rejection(worker.run(({ pool }) => pool.call('fail', [])))).toMatchObject({
    name: 'RangeError',
    message: 'not today',
    code: 'EDESK',
  });
  expect(await rejection(pool.call('fail', []))).toBeInstanceOf(RangeError);
  expect(pool.stats()).toMatchObject({ created: 1, destroyed: 0, idle: 1 });
});

test('bad one-shot calls are refused by name, and cost nothing', async () => {
  const pool = await desks(1, { expose: ['note', 'give'] });
  const worker = await thread(pool);
  const refused = await worker.run(async ({ pool, outcome }) => {
    const call = pool.call.bind(pool) as (...args: unknown[]) => Promise<unknown>;
    const tried = [
      outcome(call('slow', ['x'])),
      outcome(call('constructor', [])),
      outcome(call('note', [() => {}])),
      outcome(call('give', [])),
      outcome(call(7, [])),
      outcome(call('note', 'text')),
      outcome(call('note', [], { timeout: -1 })),
      outcome(call('note', [], { signal: AbortSignal.abort(new Error('too late')) })),
    ];
    return Promise.all(tried);
  });
  expect(refused.map(({ error }) => [error!.name, error!.message])).toEqual([
    ['RemoteCallError', expect.stringContaining('slow()')],
    ['RemoteCallError', expect.stringContaining('constructor()')],
    ['RemoteCallError', expect.stringContaining('argument 1 of note()')],
    ['RemoteCallError', expect.stringContaining('the result of give()')],
    ['TypeError', expect.stringContaining('7')],
    ['TypeError', expect.stringContaining('"text"')],
    ['RangeError', expect.stringContaining('-1')],
    ['Error', 'too late'],
  ]);
  expect(await rejection(pool.call('nothing' as 'note', ['x']))).toMatchObject({ code: 'ERR_POOL_REMOTE_CALL' });
  await expectWhole(pool);
});

test('timeout and signal end the wait in line', async () => {
  const pool = await desks(1, { acquireTimeout: 30 });
  const worker = await thread(pool);
  const held = await pool.acquire();
  expect(await rejection(worker.run(({ pool }) => pool.call('note', ['x'])))).toMatchObject({ code: 'ERR_POOL_ACQUIRE_TIMEOUT' });
  expect(await rejection(worker.run(({ pool }) => pool.call('note', ['x'], { timeout: 1 })))).toMatchObject({
    code: 'ERR_POOL_ACQUIRE_TIMEOUT',
  });
  const aborted = worker.run(({ pool, keep }) => {
    const controller = keep('controller', new AbortController());
    const many = Array.from({ length: 20 }, () => pool.call('note', ['x'], { timeout: 0, signal: controller.signal }));
    return Promise.allSettled(many).then((all) => all.map((one) => (one.status === 'rejected' ? one.reason : one.status)));
  });
  await until(() => pool.waitingCount() === 20);
  await worker.run(({ kept }) => kept<AbortController>('controller').abort('enough'));
  expect(await settled(aborted)).toEqual(Array.from({ length: 20 }, () => 'enough'));
  // What the thread tells its owner goes by another port.
  await until(() => pool.waitingCount() === 0);
  pool.release(held);
  expect(held.log).toEqual([]);
});

test('a signal that aborts while the method runs changes nothing', async () => {
  const pool = await desks(1);
  const [desk] = [await pool.acquire()];
  pool.release(desk);
  const worker = await thread(pool);
  const answer = worker.run(({ pool, keep }) => pool.call('slow', ['x'], { signal: keep('controller', new AbortController()).signal }));
  await until(() => desk.gates.length === 1);
  await worker.run(({ kept, pool }) => {
    kept<AbortController>('controller').abort();
    return pool.stats();
  });
  desk.gates[0]();
  expect(await settled(answer)).toBe('x!');
});

test('a thread that dies takes its waiting one-shot calls along; one that runs may end', async () => {
  const pool = await desks(1);
  const [dying, living] = await threads(2, pool);
  const desk = await pool.acquire();
  pool.release(desk);
  const running = dying.run(({ pool }) => pool.call('slow', ['runs']));
  const waiting = dying.run(({ pool }) => pool.call('note', ['waits']));
  running.catch(() => {});
  waiting.catch(() => {});
  await until(() => desk.gates.length === 1 && pool.waitingCount() === 1);
  const next = living.run(({ pool }) => pool.call('note', ['next']));
  await until(() => pool.waitingCount() === 2);
  await dying.terminate();
  await until(() => pool.waitingCount() === 1);
  desk.gates[0]();
  expect(await settled(next)).toBe('next!');
  expect(desk.log).toEqual(['runs', 'next']);
});

test('a method that does not end costs the resource a second after its thread has died', async () => {
  const pool = await desks(1);
  const log = record(pool);
  const dying = await thread(pool);
  const desk = await pool.acquire();
  pool.release(desk);
  dying.run(({ pool }) => pool.call('slow', ['never'])).catch(() => {});
  await until(() => desk.gates.length === 1);
  await dying.terminate();
  const other = await settled(pool.acquire());
  expect(other).not.toBe(desk);
  expect(log.reasons()).toEqual(['orphaned']);
  // It ends after all: nothing happens.
  desk.gates[0]();
  await turns();
  expect(pool.activeCount()).toBe(1);
  pool.release(other);
  await expectWhole(pool);
});

test('detach rejects one-shot calls that wait, and waits for those that run', async () => {
  const pool = await desks(1);
  const worker = await thread(pool);
  const desk = await pool.acquire();
  pool.release(desk);
  const results = worker.run(async ({ pool, outcome, keep }) => {
    const running = outcome(pool.call('slow', ['runs']));
    const waiting = outcome(pool.call('note', ['waits']));
    await Promise.resolve();
    keep('left', pool.detach());
    const refused = await outcome(pool.call('note', ['late']));
    return { running: await running, waiting: await waiting, refused };
  });
  await until(() => desk.gates.length === 1);
  // What the thread has told its owner is here before what it says now.
  await worker.run(() => {});
  await turns();
  expect(pool.stats().threads).toBe(1);
  desk.gates[0]();
  const { running, waiting, refused } = await settled(results);
  expect(running.value).toBe('runs!');
  expect(waiting.error).toMatchObject({ code: 'ERR_POOL_CLOSED' });
  expect(refused.error).toMatchObject({ code: 'ERR_POOL_CLOSED' });
  expect(desk.log).toEqual(['runs']);
  await until(() => pool.stats().threads === 0);
});

test('close rejects one-shot calls that wait, and lets those that run end', async () => {
  const pool = await desks(1);
  const log = record(pool);
  const worker = await thread(pool);
  const desk = await pool.acquire();
  pool.release(desk);
  const both = worker.run(({ pool, outcome }) =>
    Promise.all([outcome(pool.call('slow', ['runs'])), outcome(pool.call('note', ['waits']))]),
  );
  await until(() => desk.gates.length === 1 && pool.waitingCount() === 1);
  await pool.close();
  expect(log.closed).toBe(0);
  desk.gates[0]();
  const [running, waiting] = await settled(both);
  expect(running.value).toBe('runs!');
  expect(waiting.error).toMatchObject({ code: 'ERR_POOL_CLOSED' });
  await until(() => log.closed === 1);
});

test('the owner cannot give back what is out on a one-shot call', async () => {
  const pool = await desks(1);
  const worker = await thread(pool);
  const desk = await pool.acquire();
  pool.release(desk);
  const answer = worker.run(({ pool }) => pool.call('slow', ['x']));
  await until(() => desk.gates.length === 1);
  expect(() => pool.release(desk)).toThrow(expect.objectContaining({ code: 'ERR_POOL_NOT_BORROWED' }));
  expect(() => pool.destroy(desk)).toThrow(expect.objectContaining({ code: 'ERR_POOL_NOT_BORROWED' }));
  desk.gates[0]();
  expect(await settled(answer)).toBe('x!');
});

test('one-shot calls pass the hooks, are probes, and are counted by the breaker', async () => {
  const asked: string[] = [];
  const pool = await desks(1, { beforeAcquire: () => void asked.push('before'), beforeRelease: () => void asked.push('after') });
  const worker = await thread(pool);
  await worker.run(({ pool }) => pool.call('note', ['made for it']));
  await worker.run(({ pool }) => pool.call('note', ['again']));
  await until(() => asked.length === 3);
  expect(asked).toEqual(['after', 'before', 'after']);
  pool.recover();
  await worker.run(({ pool }) => pool.call('note', ['probe']));
  await until(() => pool.getState() === 'active');
  pool.deactivate();
  expect(await rejection(worker.run(({ pool }) => pool.call('note', ['no'])))).toMatchObject({ code: 'ERR_POOL_UNAVAILABLE' });
});

test('a failing factory and a full line refuse one-shot calls like acquires', async () => {
  let broken = false;
  const pool = await open<Desk>({
    factory: () => {
      if (broken) throw new Error('no desk');
      return new Desk();
    },
    max: 1,
    maxWaiting: 0,
  });
  const worker = await thread(pool);
  const desk = await pool.acquire();
  expect(await rejection(worker.run(({ pool }) => pool.call('note', ['x'])))).toMatchObject({ code: 'ERR_POOL_QUEUE_FULL' });
  broken = true;
  pool.destroy(desk);
  await until(() => pool.count() === 0);
  expect(await rejection(worker.run(({ pool }) => pool.call('note', ['x'])))).toMatchObject({ message: 'no desk' });
  broken = false;
  expect(await worker.run(({ pool }) => pool.call('note', ['x']))).toBe('x!');
});

test('the owner that dies rejects one-shot calls', async () => {
  const owner = await thread();
  const worker = await thread();
  const handle = await owner.run(async ({ cenote, keep }) => {
    const { createPool } = await cenote();
    const pool = keep('pool', await createPool({ factory: () => ({ never: () => new Promise(() => {}) }), max: 1 }));
    return pool.handle;
  });
  const dead = worker.run(async ({ attachPool, tell, outcome }, handle) => {
    const pool = await attachPool(handle);
    const pending = Promise.all([outcome(pool.call('never', [])), outcome(pool.call('never', []))]);
    tell('asked');
    return pending;
  }, handle);
  await until(() => worker.told.length === 1);
  await owner.terminate();
  for (const { error } of await settled(dead)) expect(error).toMatchObject({ code: 'ERR_POOL_CLOSED' });
});

test('the owner can give back what equals something that is out on a one-shot call', async () => {
  const desk = new Desk();
  const pool = await open<Desk>({ factory: () => desk, min: 2, max: 2 });
  const worker = await thread(pool);
  const mine = await pool.acquire();
  const noted = worker.run(({ pool }) => pool.call('slow', ['x']));
  await until(() => desk.gates.length === 1);
  pool.release(mine);
  expect(pool.stats()).toMatchObject({ idle: 1, active: 1 });
  expect(() => pool.release(desk)).toThrow(expect.objectContaining({ code: 'ERR_POOL_NOT_BORROWED' }));
  desk.gates[0]();
  expect(await settled(noted)).toBe('x!');
  await until(() => pool.idleCount() === 2);
});
