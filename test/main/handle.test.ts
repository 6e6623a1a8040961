import { threadId } from 'node:worker_threads';
import {
  AcquireTimeoutError,
  CreateTimeoutError,
  consecutiveFailures,
  NotBorrowedError,
  PoolClosedError,
  PoolError,
  QueueFullError,
  RemoteCallError,
  ServiceUnavailableError,
} from 'cenote';
import { describe, expect, test } from 'vitest';
import { borrow, open, workshop } from '../support/pools.ts';
import { rejection, until } from '../support/wait.ts';

describe('a handle', () => {
  test('is plain data with name, buffer and owner', async () => {
    const { handle } = await open({ ...workshop(), name: 'db' });
    expect(handle.name).toBe('db');
    expect(handle.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(handle.owner).toBe(threadId);
  });

  test('can be cloned, with the memory shared', async () => {
    const { handle } = await open({ ...workshop(), name: 'db' });
    const clone = structuredClone(handle);
    expect(clone).toMatchObject({ name: 'db', owner: threadId });
    expect(clone.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(clone.buffer.byteLength).toBe(handle.buffer.byteLength);
    // The same memory, not a copy of it: a byte written here is seen there.
    const [here, there] = [new Uint8Array(handle.buffer), new Uint8Array(clone.buffer)];
    const last = here.length - 1;
    const before = here[last]!;
    here[last] = before ^ 1;
    expect(there[last]).toBe(before ^ 1);
    here[last] = before;
  });

  test('of a pool with primitive resources, hooks and strategies can be cloned, too', async () => {
    const pool = await open({ factory: () => 1, beforeAcquire: () => true, share: (n) => n, circuitBreaker: consecutiveFailures() });
    expect(() => structuredClone(pool.handle)).not.toThrow();
  });
});

describe('primitive resources', () => {
  test('numbers are borrowed and given back by value', async () => {
    let next = 5000;
    const pool = await open({ factory: () => next++, max: 2 });
    const [a, b] = await borrow(pool, 2);
    expect([a, b].sort()).toEqual([5000, 5001]);
    pool.release(a!);
    expect(await pool.acquire()).toBe(a);
    expect(() => pool.release(77)).toThrow(NotBorrowedError);
    pool.release(a!);
    pool.destroy(b!);
    await until(() => pool.count() === 1);
    expect(pool.stats()).toMatchObject({ idle: 1, active: 0 });
  });

  test('strings, too', async () => {
    const urls = ['http://a', 'http://b'];
    const pool = await open({ factory: () => urls.shift()!, max: 2 });
    const [a, b] = await borrow(pool, 2);
    expect(new Set([a, b])).toEqual(new Set(['http://a', 'http://b']));
    pool.release(b!);
    expect(() => pool.release(b!)).toThrow(NotBorrowedError);
    expect(await pool.acquire()).toBe(b);
  });

  test('that are all equal make a semaphore', async () => {
    const pool = await open({ factory: () => 'permit', max: 3 });
    await borrow(pool, 3);
    expect(await pool.tryAcquire()).toBeNull();
    pool.release('permit');
    pool.release('permit');
    expect(pool.stats()).toMatchObject({ idle: 2, active: 1 });
    pool.release('permit');
    expect(() => pool.release('permit')).toThrow(NotBorrowedError);
    expect(pool.stats()).toMatchObject({ idle: 3, active: 0 });
  });
});

test('functions can be resources', async () => {
  const pool = await open<() => number>({ factory: () => () => 42 });
  const resource = await pool.acquire();
  expect(resource()).toBe(42);
  pool.release(resource);
});

test('frozen objects can be resources', async () => {
  const pool = await open({ factory: () => Object.freeze({ n: 1 }) });
  pool.release(await pool.acquire());
  expect(pool.idleCount()).toBe(1);
});

describe('errors', () => {
  const classes = {
    PoolClosedError: [PoolClosedError, 'ERR_POOL_CLOSED'],
    AcquireTimeoutError: [AcquireTimeoutError, 'ERR_POOL_ACQUIRE_TIMEOUT'],
    ServiceUnavailableError: [ServiceUnavailableError, 'ERR_POOL_UNAVAILABLE'],
    QueueFullError: [QueueFullError, 'ERR_POOL_QUEUE_FULL'],
    CreateTimeoutError: [CreateTimeoutError, 'ERR_POOL_CREATE_TIMEOUT'],
    NotBorrowedError: [NotBorrowedError, 'ERR_POOL_NOT_BORROWED'],
    RemoteCallError: [RemoteCallError, 'ERR_POOL_REMOTE_CALL'],
  } as const;

  test.each(Object.entries(classes))('%s is a PoolError', (_, [Class]) => {
    expect(Class.prototype).toBeInstanceOf(PoolError);
    expect(Class.prototype).toBeInstanceOf(Error);
  });

  /** Each error as the pool throws it. */
  const thrown: Partial<Record<keyof typeof classes, () => Promise<unknown>>> = {
    async PoolClosedError() {
      const pool = await open({ ...workshop(), name: 'db' });
      await pool.close();
      return rejection(pool.acquire());
    },
    async AcquireTimeoutError() {
      const pool = await open({ ...workshop(), name: 'db', max: 1 });
      await pool.acquire();
      return rejection(pool.acquire({ timeout: 5 }));
    },
    async ServiceUnavailableError() {
      const pool = await open({ ...workshop(), name: 'db' });
      pool.deactivate();
      return rejection(pool.acquire());
    },
    async QueueFullError() {
      const pool = await open({ ...workshop(), name: 'db', min: 1, max: 1, maxWaiting: 0 });
      await pool.acquire();
      return rejection(pool.acquire());
    },
    async CreateTimeoutError() {
      const pool = await open({ name: 'db', createTimeout: 10, factory: () => new Promise<object>(() => {}) });
      return rejection(pool.acquire());
    },
    async NotBorrowedError() {
      const pool = await open({ ...workshop(), name: 'db' });
      return rejection(Promise.resolve().then(() => pool.release({ id: 1 })));
    },
  };

  test.each(Object.entries(thrown))('%s has its class, name, code, pool and a stack', async (name, provoke) => {
    const [Class, code] = classes[name as keyof typeof classes];
    const error = (await provoke()) as PoolError;
    expect(error).toBeInstanceOf(Class);
    expect(error).toBeInstanceOf(PoolError);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe(name);
    expect(error.code).toBe(code);
    expect(error.pool).toBe('db');
    expect(error.message).not.toBe('');
    expect(error.stack).toContain(name);
  });
});
