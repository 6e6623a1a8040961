/** Signals, resources, errors and arguments that are not what they seem: nothing of them is lost, and nothing hangs. */
import vm from 'node:vm';
import { describe, expect, test } from 'vitest';
import { expectWhole, open, record, workshop } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { thread } from '../support/thread.ts';
import { rejection, settled, until } from '../support/wait.ts';

/** Whatever it is called by. */
type Methods = Record<string, (...args: unknown[]) => unknown>;

/** As packages for old browsers make them: no reason, no throwIfAborted. */
function polyfill() {
  const listeners = new Set<() => void>();
  const signal = {
    aborted: false,
    addEventListener: (_: string, listener: () => void) => void listeners.add(listener),
    removeEventListener: (_: string, listener: () => void) => void listeners.delete(listener),
  };
  const abort = (reason?: unknown): void => {
    Object.assign(signal, { aborted: true }, reason === undefined ? {} : { reason });
    for (const listener of listeners) listener();
  };
  return { signal: signal as unknown as AbortSignal, abort, listeners };
}

const trap = (): never => {
  throw new Error('a trap');
};

describe('a signal that is not of this realm', () => {
  test('ends a wait with its reason, or with an AbortError if it has none, and is let go', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    for (const [reason, expected] of [
      [undefined, { name: 'AbortError', code: 'ABORT_ERR' }],
      ['enough', 'enough'],
    ] as const) {
      const { signal, abort, listeners } = polyfill();
      const waiting = [1, 2].map(() => rejection(pool.acquire({ signal })));
      expect(listeners.size).toBe(1);
      abort(reason);
      for (const error of await Promise.all(waiting))
        typeof expected === 'string' ? expect(error).toBe(expected) : expect(error).toMatchObject(expected);
      expect(listeners.size).toBe(0);
      expect(pool.waitingCount()).toBe(0);
      const late = await rejection(pool.acquire({ signal }));
      typeof expected === 'string' ? expect(late).toBe(expected) : expect(late).toMatchObject(expected);
    }
    pool.release(held);
    await expectWhole(pool);
  });

  test('ends waits of a worker, those by call included', async () => {
    const pool = await open<Service>({ factory: service(), max: 1 });
    const held = await pool.acquire();
    const t = await thread(pool);
    const said = t.run(async ({ pool, outcome }) => {
      const listeners: (() => void)[] = [];
      const signal = {
        aborted: false,
        addEventListener: (_: string, listener: () => void) => listeners.push(listener),
        removeEventListener: () => {
          throw new Error('a trap');
        },
      };
      const waiting = [
        outcome(pool.acquire({ signal: signal as unknown as AbortSignal })),
        outcome(pool.call('whoami', [], { signal: signal as unknown as AbortSignal })),
      ];
      while (pool.waitingCount() < 2) await new Promise((resolve) => setTimeout(resolve, 1));
      signal.aborted = true;
      for (const listener of listeners) listener();
      return (await Promise.all(waiting)).map(({ error }) => error?.name);
    });
    expect(await settled(said)).toEqual(['AbortError', 'AbortError']);
    pool.release(held);
    await expectWhole(pool);
  });

  test.each<[string, object]>([
    ['being listened to', { addEventListener: trap }],
    ['letting go', { removeEventListener: trap }],
    [
      'being asked for its reason',
      {
        aborted: true,
        get reason() {
          return trap();
        },
      },
    ],
  ])('loses nothing when it throws at %s', async (_, broken) => {
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    const signal = { ...polyfill().signal, ...Object.getOwnPropertyDescriptors({}) };
    Object.defineProperties(signal, Object.getOwnPropertyDescriptors(broken));
    const waiting = pool.acquire({ signal }).then(
      (thing) => pool.release(thing),
      (error) => expect(error).toEqual(new Error('a trap')),
    );
    pool.release(held);
    await settled(waiting);
    await expectWhole(pool);
  });

  test('may throw only when it is asked whether it has aborted', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    let asked = 0;
    const signal = Object.defineProperty(polyfill().signal, 'aborted', { get: () => (++asked > 2 ? trap() : false) });
    expect(await rejection(pool.acquire({ signal }))).toEqual(new Error('a trap'));
    pool.release(held);
    await expectWhole(pool);
  });

  test('is refused if it lacks what is needed', async () => {
    const pool = await open(workshop());
    for (const signal of [{}, { aborted: false }, 'signal', null, Proxy.revocable({}, {})])
      expect(await rejection(pool.acquire({ signal: signal as AbortSignal }))).toBeInstanceOf(TypeError);
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(await rejection(pool.acquire({ signal: proxy as AbortSignal }))).toMatchObject({
      message: 'signal must be an AbortSignal, not [object]',
    });
    expect(await rejection(pool.acquire(proxy))).toBeInstanceOf(TypeError);
    await expectWhole(pool);
  });
});

describe('a Proxy as a resource', () => {
  /** As comlink's: a function, and whatever it is asked for is a method. */
  const wrap = (): Methods =>
    new Proxy((() => {}) as unknown as Methods, {
      get: (_, name) => (name === 'then' ? undefined : (...args: unknown[]) => `${String(name)}(${args})`),
    });

  test.each([[undefined], [['hello']]])('is called by workers and by call, exposing %s', async (expose) => {
    const pool = await open<Methods>({ factory: wrap, ...(expose && { expose }), max: 1 });
    const t = await thread<Methods>(pool);
    const said = t.run(async ({ pool, attempt }) => [
      await pool.call('hello', [1]),
      await pool.use((remote) => remote.hello(2)),
      pool.useSync((remote) => remote.hello(3)),
      await attempt(() => pool.call('other', [4])),
      (await attempt(() => pool.call('constructor', []))).ok,
    ]);
    const other = expose === undefined ? { ok: true, value: 'other(4)' } : { ok: false };
    expect(await settled(said)).toMatchObject(['hello(1)', 'hello(2)', 'hello(3)', other, false]);
    expect(await pool.call('hello', [5])).toBe('hello(5)');
  });

  test('that forwards has the methods of its target, and those of every object stay out of reach', async () => {
    class Plain {
      own(): string {
        return 'own';
      }
      toString(): string {
        return 'overridden';
      }
    }
    for (const make of [() => new Proxy(new Plain(), {}), () => Object.create(new Proxy(new Plain(), {}))]) {
      const pool = await open<Methods>({ factory: make, max: 1 });
      const t = await thread<Methods>(pool);
      const said = t.run(({ pool, attempt }) =>
        Promise.all(['own', 'toString', 'hasOwnProperty', '__defineGetter__', 'missing'].map((name) => attempt(() => pool.call(name, [])))),
      );
      const refused = { ok: false, error: { code: 'ERR_POOL_REMOTE_CALL' } };
      expect(await settled(said)).toMatchObject([{ value: 'own' }, { value: 'overridden' }, refused, refused, refused]);
    }
  });

  test('without end is no endless loop', async () => {
    const endless = (): Methods => new Proxy({}, { getPrototypeOf: endless });
    const pool = await open<Methods>({ factory: endless, max: 1 });
    const t = await thread<Methods>(pool);
    const said = t.run(({ pool, attempt }) => attempt(() => pool.call('missing', [])));
    expect(await settled(said)).toMatchObject({ ok: false, error: { code: 'ERR_POOL_REMOTE_CALL' } });
  });

  test.each(['acquire', 'tryAcquire', 'use', 'lease'] as const)(
    'that does not answer any more is destroyed at %s, and its slot is not lost',
    async (way) => {
      const shop = workshop();
      const revokes: (() => void)[] = [];
      const factory = () => {
        const { proxy, revoke } = Proxy.revocable(shop.factory(), {});
        revokes.push(revoke);
        return proxy;
      };
      const pool = await open({ factory, max: 1, name: 'membranes' });
      const log = record(pool);
      pool.release(await pool.acquire());
      revokes[0]!();
      const error = await rejection(way === 'use' ? pool.use(() => {}) : pool[way]());
      expect(error).toMatchObject({ name: 'PoolError', pool: 'membranes', cause: { name: 'TypeError' } });
      await until(() => log.destroyed.length === 1);
      await expectWhole(pool);
    },
  );

  test('that does not answer any more does not keep its place when the next in line is served', async () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    let made = 0;
    const pool = await open<object>({ factory: () => (made++ === 0 ? proxy : {}), max: 1 });
    const held = await pool.acquire();
    const waiting = [rejection(pool.acquire()), pool.acquire()] as const;
    revoke();
    pool.release(held);
    expect(await settled(waiting[0])).toMatchObject({ name: 'PoolError' });
    pool.release(await settled(waiting[1]));
    await expectWhole(pool);
  });
});

test('methods of an object of another realm can be called, and those of every object cannot', async () => {
  const pool = await open<Methods>({ factory: () => vm.runInNewContext('({ own: () => 7 })'), max: 1 });
  const t = await thread<Methods>(pool);
  const said = t.run(({ pool, attempt }) =>
    Promise.all(['own', 'hasOwnProperty', '__defineGetter__'].map((name) => attempt(() => pool.call(name, ['a'])))),
  );
  const refused = { ok: false, error: { code: 'ERR_POOL_REMOTE_CALL' } };
  expect(await settled(said)).toMatchObject([{ value: 7 }, refused, refused]);
});

/** Only the first time; then they throw. */
const once = (value: unknown): PropertyDescriptor => {
  let reads = 0;
  return { get: () => (reads++ === 0 ? value : trap()), enumerable: true };
};

test.each<[string, () => unknown, object]>([
  [
    'a Proxy of an error that throws at everything',
    () => new Proxy(new Error('hidden'), { ownKeys: trap, get: trap, has: trap }),
    { message: 'an error was thrown that cannot be read' },
  ],
  [
    'an error whose cause throws',
    () => Object.defineProperty(new Error('the message'), 'cause', { get: trap }),
    { message: 'the message' },
  ],
  [
    'an error that can be read once',
    () => Object.defineProperty(new Error('the message'), 'detail', once(7)),
    { message: 'the message', own: { detail: 7 } },
  ],
  ['a value that can be read once', () => Object.defineProperty({}, 'detail', once(7)), { thrown: { detail: 7 } }],
  ['a DOMException', () => new DOMException('the message', 'AbortError'), { name: 'AbortError', message: 'the message', code: 20 }],
  [
    'a DOMException of another realm',
    () => Object.assign(Object.create({ [Symbol.toStringTag]: 'DOMException' }), { name: 'DataError', message: 'the message' }),
    { name: 'DataError' },
  ],
  [
    'a revoked Proxy',
    () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return proxy;
    },
    { thrown: '[object]' },
  ],
])('%s, thrown by a method or a factory, reaches a worker, and its slot comes back', async (_, make, expected) => {
  let fails = true;
  const fail = (): never => {
    throw make();
  };
  const pool = await open({ factory: () => (fails ? fail() : { fail }), max: 1 });
  const t = await thread<Methods>(pool);
  const byFactory = t.run(({ pool, attempt }) => attempt(() => pool.call('fail', [])));
  expect(await settled(byFactory)).toMatchObject({ ok: false, error: expected });
  fails = false;
  const byMethod = t.run(async ({ pool, attempt }) => [
    await attempt(() => pool.use((remote) => remote.fail())),
    await attempt(() => pool.useSync((remote) => remote.fail())),
    await attempt(() => pool.call('fail', [])),
  ]);
  for (const outcome of await settled(byMethod)) expect(outcome).toMatchObject({ ok: false, error: expected });
  await expectWhole(pool);
});

test('an argument that throws when it is looked at rejects its own call, and the thread can end', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const t = await thread(pool);
  const said = t.run(async ({ pool, attempt }) => {
    const { proxy, revoke } = Proxy.revocable([], {});
    revoke();
    const remote = (await pool.acquire()) as unknown as Methods;
    // Not alone, so that it is looked at before it is sent.
    const beside = remote.whoami();
    const calls = [attempt(() => remote.whoami(proxy)), attempt(() => pool.call('whoami', [proxy] as never))];
    const outcomes = await Promise.all(calls);
    const value = await beside;
    pool.release(remote as never);
    return [typeof value, ...outcomes.map(({ error }) => error?.code)];
  });
  expect(await settled(said)).toEqual(['number', 'ERR_POOL_REMOTE_CALL', 'ERR_POOL_REMOTE_CALL']);
  await until(() => pool.idleCount() === 1);
  t.finish();
  await settled(t.exited);
});

test('stacks that the program formats, and cannot, keep nobody from borrowing what is watched for leaks', async () => {
  const pool = await open<Service>({ factory: service(), max: 1, leakDetectionThreshold: 60_000 });
  const t = await thread(pool);
  const before = Error.prepareStackTrace;
  Error.prepareStackTrace = trap;
  try {
    pool.release(await pool.acquire());
  } finally {
    Error.prepareStackTrace = before as typeof trap;
  }
  const said = t.run(async ({ pool }) => {
    Error.prepareStackTrace = () => {
      throw new Error('a trap');
    };
    pool.release(await pool.acquire());
    pool.release(pool.acquireSync());
    return 'borrowed';
  });
  expect(await settled(said)).toBe('borrowed');
  await expectWhole(pool);
});
