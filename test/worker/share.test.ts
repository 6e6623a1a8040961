import { describe, expect, test } from 'vitest';
import { open } from '../support/pools.ts';
import { type Thread, thread, threads } from '../support/thread.ts';
import { settled, until } from '../support/wait.ts';

class Server {
  readonly port: number;
  readonly memory = new SharedArrayBuffer(16);
  constructor(port: number) {
    this.port = port;
  }
}
const servers = () => {
  let port = 8000;
  return () => new Server(++port);
};
/** What acquire gives on a worker with `share`, which the types do not know. */
const acquire = <V>(t: Thread<Server>): Promise<V> => t.run(({ pool }) => pool.acquire()) as Promise<V>;
const acquireSync = <V>(t: Thread<Server>): Promise<V> => t.run(({ pool }) => pool.acquireSync()) as Promise<V>;

describe('with share a worker receives', () => {
  test('a number', async () => {
    const pool = await open({ factory: servers(), max: 2, share: ({ port }) => port });
    const t = await thread(pool);
    expect(await acquire(t)).toBe(8001);
    expect(await acquireSync(t)).toBe(8002);
    expect(pool.activeCount()).toBe(2);
  });

  test('a string', async () => {
    const pool = await open({ factory: servers(), share: ({ port }) => `http://localhost:${port}` });
    const t = await thread(pool);
    expect(await acquire(t)).toBe('http://localhost:8001');
  });

  test('an object', async () => {
    const pool = await open({ factory: servers(), share: ({ port }) => ({ port, tags: new Set(['a']) }) });
    const t = await thread(pool);
    expect(await acquire(t)).toEqual({ port: 8001, tags: new Set(['a']) });
  });

  test('shared memory, really shared', async () => {
    const made: Server[] = [];
    const make = servers();
    const pool = await open({
      factory: () => {
        made.push(make());
        return made.at(-1)!;
      },
      share: ({ memory }) => memory,
    });
    const t = await thread(pool);
    await t.run(async ({ pool }) => {
      const memory = (await pool.acquire()) as unknown as SharedArrayBuffer;
      new Int32Array(memory)[0] = 42;
    });
    expect(new Int32Array(made[0]!.memory)[0]).toBe(42);
  });

  test('what tryAcquire, tryAcquireSync, use, useSync and lease give, too', async () => {
    const pool = await open({ factory: servers(), max: 1, share: ({ port }) => port });
    const t = await thread(pool);
    const values = await t.run(async ({ pool }) => {
      const values: unknown[] = [];
      for (const value of [await pool.tryAcquire()]) {
        values.push(value);
        pool.release(value!);
      }
      const sync = pool.tryAcquireSync();
      values.push(sync);
      pool.release(sync!);
      values.push(await pool.use((value) => value));
      values.push(pool.useSync((value) => value));
      const lease = await pool.lease();
      values.push(lease.resource);
      lease.release();
      return values;
    });
    expect(values).toEqual([8001, 8001, 8001, 8001, 8001]);
    await until(() => pool.idleCount() === 1);
    expect(pool.stats()).toMatchObject({ acquired: 5, released: 5 });
  });
});

test('the owner gets the resource itself', async () => {
  const pool = await open({ factory: servers(), share: ({ port }) => port });
  expect(await pool.acquire()).toBeInstanceOf(Server);
});

describe('release on a worker finds the resource', () => {
  test('by a number', async () => {
    const pool = await open({ factory: servers(), max: 2, share: ({ port }) => port });
    const t = await thread(pool);
    await acquire(t);
    await acquire(t);
    await t.run(({ pool }) => pool.release(8002 as never));
    await until(() => pool.idleCount() === 1);
    expect((await settled(pool.acquire())).port).toBe(8002);
  });

  test('by a string', async () => {
    const pool = await open({ factory: servers(), max: 2, share: ({ port }) => `http://localhost:${port}` });
    const t = await thread(pool);
    await acquire(t);
    await acquire(t);
    await t.run(({ pool }) => pool.release('http://localhost:8001' as never));
    await until(() => pool.idleCount() === 1);
    expect((await settled(pool.acquire())).port).toBe(8001);
  });

  test('by the object that acquire gave', async () => {
    const pool = await open({ factory: servers(), max: 2, share: ({ port }) => ({ port }) });
    const t = await thread(pool);
    const port = await t.run(async ({ pool }) => {
      const [, second] = [await pool.acquire(), await pool.acquire()];
      pool.release(second);
      return (second as unknown as Server).port;
    });
    await until(() => pool.idleCount() === 1);
    expect((await settled(pool.acquire())).port).toBe(port);
  });

  test('again and again, over several threads', async () => {
    const pool = await open({ factory: servers(), min: 2, max: 2, share: ({ port }) => ({ port }) });
    const workers = await threads(3, pool);
    await settled(
      Promise.all(
        workers.map((t) =>
          t.run(async ({ pool }) => {
            for (let i = 0; i < 50; i++) {
              const value = i % 2 ? await pool.acquire() : pool.acquireSync();
              pool.release(value as never);
            }
          }),
        ),
      ),
    );
    expect(pool.stats()).toMatchObject({ idle: 2, active: 0, acquired: 150, released: 150 });
  });

  test('but not what this thread has not borrowed: NotBorrowedError', async () => {
    const pool = await open({ factory: servers(), name: 'db', max: 2, share: ({ port }) => port });
    const [a, b] = await threads(2, pool);
    await acquire(a!);
    for (const value of [8001, 8002, 9999]) {
      const { error } = await b!.run(({ pool, attempt }, value) => attempt(() => pool.release(value as never)), value);
      expect(error).toMatchObject({ code: 'ERR_POOL_NOT_BORROWED', pool: 'db' });
    }
    expect(pool.activeCount()).toBe(1);
  });

  test('but not twice: NotBorrowedError', async () => {
    const pool = await open({ factory: servers(), share: ({ port }) => port });
    const t = await thread(pool);
    await acquire(t);
    const { error } = await t.run(({ pool, attempt }) => {
      pool.release(8001 as never);
      return attempt(() => pool.release(8001 as never));
    });
    expect(error).toMatchObject({ code: 'ERR_POOL_NOT_BORROWED' });
  });
});

test('destroy finds it by its value, and the next one has its own', async () => {
  const pool = await open({ factory: servers(), max: 1, share: ({ port }) => port });
  const t = await thread(pool);
  expect(await acquire(t)).toBe(8001);
  await t.run(({ pool }) => pool.destroy(8001 as never));
  expect(await acquire(t)).toBe(8002);
});

test('the value of a resource that is no more gives nothing back, though another one is borrowed in its place', async () => {
  const pool = await open({ factory: servers(), name: 'db', max: 1, share: ({ port }) => port });
  const t = await thread(pool);
  expect(await acquire(t)).toBe(8001);
  await t.run(({ pool }) => pool.destroy(8001 as never));
  expect(await acquire(t)).toBe(8002);
  const { error } = await t.run(({ pool, attempt }) => attempt(() => pool.release(8001 as never)));
  expect(error).toMatchObject({ code: 'ERR_POOL_NOT_BORROWED', pool: 'db' });
  expect(pool.activeCount()).toBe(1);
});

test('threads that were attached before the resource was made know its value, and so do those which come later', async () => {
  const pool = await open({ factory: servers(), max: 2, share: ({ port }) => port });
  const early = await thread(pool);
  const first = await pool.acquire();
  pool.release(first);
  const late = await thread(pool);
  expect(await acquire(late)).toBe(8001);
  expect(await acquireSync(early)).toBe(8002);
});

test('a synchronous acquire gets the value of a resource that was made while the thread was blocked', async () => {
  const pool = await open({ factory: servers(), max: 1, share: ({ port }) => port });
  const t = await thread(pool);
  const first = await pool.acquire();
  const value = t.run(({ pool }) => pool.acquireSync()) as Promise<unknown>;
  await until(() => pool.waitingCount() === 1);
  pool.destroy(first);
  expect(await settled(value)).toBe(8002);
});

test('a value that another resource had before belongs to the one that has it now', async () => {
  const values = [1, 1, 2];
  let isLeaving = false;
  let destroyed = (): void => {};
  const pool = await open({
    factory: () => ({ value: values.shift()! }),
    // The first slot is not free again before the second has a resource with the same value.
    destructor: () => {
      isLeaving = true;
      return new Promise<void>((resolve) => void (destroyed = resolve));
    },
    max: 2,
    share: ({ value }) => value,
  });
  const t = await thread(pool);
  await t.run(async ({ pool, keep }) => {
    pool.destroy(await pool.acquire());
    await keep('second', pool.acquire());
  });
  // The second is handed out by shared memory, perhaps before the owner has read that the first is to be destroyed.
  await until(() => isLeaving);
  destroyed();
  await until(() => pool.count() === 1);
  const released = t.run(async ({ pool, kept }) => {
    const third = await pool.acquire();
    const second = await kept<Promise<typeof third>>('second');
    pool.release(second);
    pool.release(third);
    return [second, third];
  });
  expect(await settled(released)).toEqual([1, 2]);
  destroyed();
});
