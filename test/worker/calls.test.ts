import { describe, expect, test } from 'vitest';
import { open } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { type Described, type Thread, thread, threads } from '../support/thread.ts';
import { gate, pendingUntil, settled, turns, until } from '../support/wait.ts';

/** A pool of Services and a thread that has borrowed one, as held[0], or synchronously as syncHeld[0]. */
const borrowed = async (options: object = {}) => {
  const pool = await open<Service>({ factory: service(), name: 'db', max: 2, ...options });
  const t = await thread(pool);
  await t.hold();
  return { pool, t };
};
const borrowedSync = async (options: object = {}) => {
  const pool = await open<Service>({ factory: service(), name: 'db', max: 2, ...options });
  const t = await thread(pool);
  await t.run(({ pool, syncHeld }) => void syncHeld.push(pool.acquireSync()));
  return { pool, t };
};

describe('a remote call', () => {
  test('runs on the owner, with its arguments, and gives the result', async () => {
    const { t } = await borrowed();
    expect(
      await t.run(({ held: [remote] }) => Promise.all([remote!.whoami(), remote!.add(1, 2), remote!.addLater(3, 4), remote!.nothing()])),
    ).toEqual([1, 3, 7, undefined]);
  });

  test('goes at once if no other is under way; those made in the same tick follow in one message, as one run', async () => {
    const { t } = await borrowed();
    const sent = await t.run(async ({ held: [remote], sent }) => {
      const messages = await sent(() => Promise.all([1, 2, 3, 4].map((n) => remote!.add(n, n))));
      return messages.map((requests) => requests.map((request) => (request as unknown[])[5]));
    });
    expect(sent).toEqual([
      [[[1, 1]]],
      [
        [
          [2, 2],
          [3, 3],
          [4, 4],
        ],
      ],
    ]);
  });

  test('goes at once, though others are under way and this thread computes from then on', async () => {
    const first = gate();
    const log: string[] = [];
    const pool = await open({ factory: () => ({ slow: () => first.promise, push: (text: string) => void log.push(text) }), max: 1 });
    const t = await thread(pool);
    const busy = t.run(async ({ pool, sleep, block }) => {
      const remote = await pool.acquire();
      const slow = remote.slow();
      await sleep(1);
      const push = remote.push('now');
      block(0);
      return Promise.all([slow, push]);
    });
    await until(() => log.length === 1);
    t.raise(0);
    first.open();
    await settled(busy);
  });

  test('gives a promise', async () => {
    const { t } = await borrowed();
    expect(await t.run(({ held: [remote] }) => remote!.whoami() instanceof Promise)).toBe(true);
  });

  test('passes what structured clone passes', async () => {
    const { t } = await borrowed();
    const same = await t.run(async ({ held: [remote] }) => {
      const date = new Date(0);
      const values: unknown[] = [
        undefined,
        null,
        0,
        -0,
        Number.NaN,
        10n,
        'text',
        '',
        [1, [2]],
        { a: { b: 1 } },
        new Map([[1, { two: 2 }]]),
        new Set(['a']),
        date,
        /x/gi,
        new Uint8Array([1, 2, 3]),
        new Error('as a value'),
      ];
      const back = (await Promise.all(values.map((value) => remote!.echo(value)))) as unknown[];
      const types = await Promise.all(values.map((value) => remote!.typeOf(value)));
      return {
        back,
        sameTypes: values.every(
          (value, i) => Object.prototype.toString.call(value) === types[i] && Object.prototype.toString.call(back[i]) === types[i],
        ),
      };
    });
    expect(same.sameTypes).toBe(true);
    expect(same.back.slice(0, 15)).toEqual([
      undefined,
      null,
      0,
      -0,
      Number.NaN,
      10n,
      'text',
      '',
      [1, [2]],
      { a: { b: 1 } },
      new Map([[1, { two: 2 }]]),
      new Set(['a']),
      new Date(0),
      /x/gi,
      new Uint8Array([1, 2, 3]),
    ]);
    expect(same.back[15]).toMatchObject({ message: 'as a value' });
  });

  test('passes arrays as structured clone does: with their holes and properties', async () => {
    const { t } = await borrowed();
    const result = await t.run(async ({ held: [remote] }) => {
      const match = (await remote!.echo('abc'.match(/b/))) as RegExpMatchArray;
      const holes = (await remote!.echo(new Array(3))) as unknown[];
      return [match[0], match.index, match.input, holes.length, 1 in holes];
    });
    expect(result).toEqual(['b', 1, 'abc', 3, false]);
  });

  test('passes shared memory as shared', async () => {
    const { t } = await borrowed();
    const seen = await t.run(async ({ held: [remote] }) => {
      const memory = new SharedArrayBuffer(4);
      const back = (await remote!.echo(memory)) as SharedArrayBuffer;
      new Int32Array(back)[0] = 7;
      return new Int32Array(memory)[0];
    });
    expect(seen).toBe(7);
  });

  test('passes as many arguments as were given', async () => {
    const { t } = await borrowed();
    expect(
      await t.run(({ held: [remote] }) =>
        Promise.all([remote!.countArguments(), remote!.countArguments(undefined), remote!.countArguments(1, undefined, 3, undefined)]),
      ),
    ).toEqual([0, 1, 4]);
  });

  test('passes large arguments and results', async () => {
    const { t } = await borrowed();
    expect(
      await t.run(async ({ held: [remote] }) =>
        ((await remote!.echo(new Uint8Array(4_000_000).fill(7))) as Uint8Array).reduce((sum, byte) => sum + byte, 0),
      ),
    ).toBe(28_000_000);
  });

  test('sees its arguments as they were when it was made', async () => {
    const { t } = await borrowed();
    const result = await t.run(async ({ held: [remote] }) => {
      const row = { n: 1, deep: { list: [1] } };
      const bytes = new Uint8Array([1, 2, 3]);
      const [first, second] = [remote!.echo(row), remote!.echo(bytes)];
      row.n = 2;
      row.deep.list.push(2);
      bytes.fill(9);
      const third = remote!.echo(row);
      row.n = 3;
      return Promise.all([first, second, third]);
    });
    expect(result).toEqual([{ n: 1, deep: { list: [1] } }, new Uint8Array([1, 2, 3]), { n: 2, deep: { list: [1, 2] } }]);
  });

  test('leaves the arguments intact: nothing is transferred away', async () => {
    const { t } = await borrowed();
    expect(
      await t.run(async ({ held: [remote] }) => {
        const bytes = new Uint8Array([1, 2, 3]);
        await remote!.echo(bytes);
        return [...bytes];
      }),
    ).toEqual([1, 2, 3]);
  });

  test('that is not awaited is made all the same, in the order of the calls', async () => {
    const { pool, t } = await borrowed();
    const entries = await t.run(({ held: [remote] }) => {
      for (let i = 0; i < 50; i++) void remote!.push(`call ${i}`);
      return remote!.entries();
    });
    expect(entries).toEqual(Array.from({ length: 50 }, (_, i) => `call ${i}`));
    expect(pool.activeCount()).toBe(1);
  });

  test('keeps the order over ticks, too', async () => {
    const { t } = await borrowed();
    const entries = await t.run(async ({ held: [remote], sleep }) => {
      for (let i = 0; i < 20; i++) {
        void remote!.push(`call ${i}`);
        if (i % 3 === 0) await null;
        if (i % 7 === 0) await sleep(1);
      }
      return remote!.entries();
    });
    expect(entries).toEqual(Array.from({ length: 20 }, (_, i) => `call ${i}`));
  });

  test('answers belong to their calls, even when the first takes longest', async () => {
    const { t } = await borrowed();
    expect(
      await t.run(({ held: [remote] }) =>
        Promise.all([remote!.slow(40, 'a'), remote!.slow(5, 'b'), remote!.add(1, 2), remote!.slow(20, 'c')]),
      ),
    ).toEqual(['a', 'b', 3, 'c']);
  });

  test('reaches the resource that was borrowed, not another', async () => {
    const pool = await open({ factory: service(), max: 3 });
    const workers = await threads(3, pool);
    await Promise.all(workers.map((t) => t.hold()));
    const ids = await Promise.all(
      workers.map((t) => t.run(({ held: [remote] }) => Promise.all(Array.from({ length: 20 }, () => remote!.whoami())))),
    );
    for (const each of ids) expect(new Set(each).size).toBe(1);
    expect(new Set(ids.map(([id]) => id)).size).toBe(3);
  });

  test('works with a method taken off the remote', async () => {
    const { t } = await borrowed();
    expect(
      await t.run(({ held: [remote] }) => {
        const { add, whoami } = remote!;
        return Promise.all([add(1, 2), whoami()]);
      }),
    ).toEqual([3, 1]);
  });

  test('thousands in a row and at once', async () => {
    const { t } = await borrowed();
    const sums = await settled(
      t.run(async ({ held: [remote] }) => {
        let inARow = 0;
        for (let i = 0; i < 1000; i++) inARow = await remote!.add(inARow, 1);
        const atOnce = await Promise.all(Array.from({ length: 1000 }, (_, i) => remote!.add(i, 1)));
        return [inARow, atOnce.every((sum, i) => sum === i + 1)];
      }),
    );
    expect(sums).toEqual([1000, true]);
  });
});

describe('a synchronous call', () => {
  test('blocks until the owner has answered, also for a promise', async () => {
    const { t } = await borrowedSync();
    expect(
      await t.run(({ syncHeld: [remote] }) => {
        const started = performance.now();
        const text = remote!.slow(50, 'done');
        return [text, performance.now() - started >= 48];
      }),
    ).toEqual(['done', true]);
  });

  test('passes values there and back', async () => {
    const { t } = await borrowedSync();
    expect(
      await t.run(({ syncHeld: [remote] }) => [
        remote!.echo(undefined),
        remote!.echo(10n),
        remote!.echo(new Map([[1, { two: 2 }]])),
        (remote!.echo('x'.repeat(1_000_000)) as string).length,
      ]),
    ).toEqual([undefined, 10n, new Map([[1, { two: 2 }]]), 1_000_000]);
  });

  test('comes after the asynchronous calls that the thread made before it', async () => {
    const log: string[] = [];
    const pool = await open({ factory: () => ({ push: (text: string) => log.push(text) }), max: 2 });
    const t = await thread(pool);
    await t.run(async ({ pool }) => {
      const remote = await pool.acquire();
      const sync = pool.acquireSync();
      const calls = [remote.push('a'), remote.push('b')];
      sync.push('c');
      calls.push(remote.push('d'));
      sync.push('e');
      await Promise.all(calls);
    });
    expect(log).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test('a thousand in a row', async () => {
    const { t } = await borrowedSync();
    expect(
      await settled(
        t.run(({ syncHeld: [remote] }) => {
          let sum = 0;
          for (let i = 0; i < 1000; i++) sum = remote!.add(sum, 1);
          return sum;
        }),
      ),
    ).toBe(1000);
  });

  test('an answer to an earlier asynchronous call is not taken for its own', async () => {
    const pool = await open<Service>({ factory: service(), max: 2 });
    const t = await thread(pool);
    const results = await t.run(async ({ pool }) => {
      const remote = await pool.acquire();
      const sync = pool.acquireSync();
      const early = Array.from({ length: 10 }, (_, i) => remote.add(i, 100));
      const sums = Array.from({ length: 10 }, (_, i) => sync.add(i, 1000));
      return [sums, await Promise.all(early)];
    });
    expect(results).toEqual([Array.from({ length: 10 }, (_, i) => i + 1000), Array.from({ length: 10 }, (_, i) => i + 100)]);
  });

  test('that throws leaves the next one in order', async () => {
    const { t } = await borrowedSync();
    const results = await t.run(({ syncHeld: [remote] }) => {
      const seen: unknown[] = [];
      for (let i = 0; i < 5; i++) {
        try {
          remote!.fail(`failure ${i}`);
        } catch (error) {
          seen.push((error as Error).message);
        }
        seen.push(remote!.add(i, i));
      }
      return seen;
    });
    expect(results).toEqual(['failure 0', 0, 'failure 1', 2, 'failure 2', 4, 'failure 3', 6, 'failure 4', 8]);
  });

  test('answers while many threads call', async () => {
    const pool = await open({ factory: service(), max: 3 });
    const workers = await threads(3, pool);
    const sums = await settled(
      Promise.all(
        workers.map((t) =>
          t.run(({ pool }) =>
            pool.useSync((resource) => {
              let sum = 0;
              for (let i = 0; i < 300; i++) sum = resource.add(sum, 1);
              return sum;
            }),
          ),
        ),
      ),
    );
    expect(sums).toEqual([300, 300, 300]);
  });
});

/** Every error is asked for in both ways. */
const ways: [string, (kind: string) => Promise<{ error: Described; t: Thread<Service> }>][] = [
  [
    'asynchronous',
    async (kind) => {
      const { t } = await borrowed();
      const { ok, error } = await t.run(({ held: [remote], attempt }, kind) => attempt(() => remote!.fail(kind)), kind);
      expect(ok).toBe(false);
      return { error: error!, t };
    },
  ],
  [
    'from a promise',
    async (kind) => {
      const { t } = await borrowed();
      const { ok, error } = await t.run(({ held: [remote], attempt }, kind) => attempt(() => remote!.failLater(kind)), kind);
      expect(ok).toBe(false);
      return { error: error!, t };
    },
  ],
  [
    'synchronous',
    async (kind) => {
      const { t } = await borrowedSync();
      const { ok, error } = await t.run(({ syncHeld: [remote], attempt }, kind) => attempt(() => remote!.fail(kind)), kind);
      expect(ok).toBe(false);
      return { error: error!, t };
    },
  ],
];

describe.each(ways)('an error thrown by the method, %s,', (_, failing) => {
  test('keeps name, message, code and stack', async () => {
    const { error } = await failing('database');
    expect(error.lineage).toContain('Error');
    expect(error).toMatchObject({ name: 'DatabaseError', message: 'duplicate key', code: '23505' });
    expect(error.stack).toContain('theFunctionThatFailed');
  });

  test('keeps its own properties', async () => {
    const { error } = await failing('database');
    expect(error.own).toMatchObject({ severity: 'ERROR', detail: { table: 'users', columns: ['id'] } });
  });

  test('keeps its causes, with names and codes', async () => {
    const { error } = await failing('cause');
    expect(error).toMatchObject({
      message: 'outer',
      cause: { name: 'RangeError', message: 'inner', code: 'E_INNER', cause: { message: 'innermost' } },
    });
  });

  test('keeps a cause that is no error', async () => {
    const { error } = await failing('plain cause');
    expect(error).toMatchObject({ message: 'outer', cause: { thrown: { reason: 'plain' } } });
  });

  test('may be its own cause', async () => {
    const { error } = await failing('circular');
    expect(error.message).toBe('circular');
  });

  test('keeps the errors of an AggregateError', async () => {
    const { error } = await failing('aggregate');
    expect(error).toMatchObject({ name: 'AggregateError', message: 'both failed' });
    expect(error.errors).toMatchObject([
      { name: 'TypeError', message: 'first' },
      { message: 'second', code: 'E_SECOND' },
    ]);
  });

  test('with a property that cannot be cloned arrives with the rest', async () => {
    const { error } = await failing('unclonable property');
    expect(error).toMatchObject({ message: 'with a socket', code: 'E_SOCKET' });
  });

  test.each([
    ['text', 'just a text'],
    ['object', { status: 503 }],
    ['number', 42],
    ['undefined', undefined],
    ['null', null],
  ])('may be no error at all: %s', async (kind, value) => {
    const { error } = await failing(kind);
    expect(error).toHaveProperty('thrown');
    expect(error.thrown).toEqual(value);
  });

  test('may even be what cannot be cloned: the call is rejected, and the next one works', async () => {
    const { error, t } = await failing('function');
    expect(error).toBeDefined();
    expect(await t.run(async ({ held: [remote], syncHeld: [sync] }) => remote?.add(1, 2) ?? sync!.add(1, 2))).toBe(3);
  });

  test('leaves the resource borrowed and usable', async () => {
    const { t } = await failing('type');
    expect(await t.run(async ({ held: [remote], syncHeld: [sync] }) => remote?.add(1, 2) ?? sync!.add(1, 2))).toBe(3);
    expect(await t.run(({ pool }) => pool.activeCount())).toBe(1);
  });
});

describe('a method that answers with something hard to say anything about', () => {
  /** All by themselves: none of them may take the resource or the thread along. */
  const odd: Record<string, () => unknown> = {
    'throws an object without a prototype that cannot be cloned': () => {
      throw Object.assign(Object.create(null), { callback() {} });
    },
    'rejects with an object without a prototype that cannot be cloned': async () => {
      throw Object.assign(Object.create(null), { callback() {} });
    },
    'throws an object whose toString throws': () => {
      throw {
        toString() {
          throw new Error('not even that');
        },
      };
    },
    'throws an error whose message throws': () => {
      throw Object.defineProperty(new Error('odd'), 'message', {
        get() {
          throw new Error('no message');
        },
      });
    },
    'throws an error whose message is a symbol': () => {
      throw Object.assign(new Error('odd'), { message: Symbol('message'), name: Object.create(null) });
    },
    'returns an object with a getter that throws': () => ({
      get boom() {
        throw new Error('boom');
      },
    }),
    'returns a thenable whose then throws': () => ({
      // biome-ignore lint/suspicious/noThenProperty: a PromiseLike is what this is about
      then() {
        throw new Error('then throws');
      },
    }),
    'returns a thenable that rejects twice': () => ({
      // biome-ignore lint/suspicious/noThenProperty: a PromiseLike is what this is about
      then(_: unknown, reject: (error: Error) => void) {
        reject(new Error('once'));
        reject(new Error('twice'));
      },
    }),
  };

  test.each(Object.entries(odd))('%s: the call is rejected, and the resource is usable', async (_, method) => {
    const pool = await open({ factory: () => ({ method, fine: () => 'fine' }), max: 1 });
    const t = await thread(pool);
    const { call, sync, fine } = await settled(
      t.run(async ({ pool, attempt }) => {
        const call = await attempt(() => pool.use((resource) => resource.method()));
        const sync = await attempt(() => pool.useSync((resource) => resource.method()));
        return { call: call.ok, sync: sync.ok, fine: pool.useSync((resource) => resource.fine()) };
      }),
    );
    expect({ call, sync, fine }).toEqual({ call: false, sync: false, fine: 'fine' });
    expect(pool.stats()).toMatchObject({ idle: 1, active: 0 });
  });
});

describe('what cannot be cloned', () => {
  test.each(['echo', 'add'] as const)('as an argument of %s: RemoteCallError that says so', async (method) => {
    const { t } = await borrowed();
    const { error } = await t.run(
      ({ held: [remote], attempt }, method) =>
        attempt(() => (remote as unknown as Record<string, (...args: unknown[]) => unknown>)[method]!(() => {})),
      method as string,
    );
    expect(error).toMatchObject({ name: 'RemoteCallError', code: 'ERR_POOL_REMOTE_CALL', pool: 'db' });
    expect(error!.lineage).toContain('PoolError');
    expect(error!.message).toContain(method);
  });

  test('as an argument of a synchronous call: RemoteCallError that says so', async () => {
    const { t } = await borrowedSync();
    const { error } = await t.run(({ syncHeld: [remote], attempt }) => attempt(() => void remote!.echo({ deep: [() => {}] })));
    expect(error).toMatchObject({ name: 'RemoteCallError', code: 'ERR_POOL_REMOTE_CALL' });
    expect(error!.message).toContain('echo');
  });

  test('as an argument does not harm the other calls of the same tick', async () => {
    const { t } = await borrowed();
    const results = await t.run(async ({ held: [remote], attempt }) => {
      const before = remote!.add(1, 1);
      const bad = attempt(() => remote!.echo(Symbol('no')));
      const after = remote!.add(2, 2);
      return [await before, (await bad).ok, await after];
    });
    expect(results).toEqual([2, false, 4]);
  });

  test('in a run of calls of one method harms none of the others, on the way there and back', async () => {
    const { t } = await borrowed();
    const results = await t.run(async ({ held: [remote], attempt }) => {
      const there = [1, 2, Symbol('no'), 4, () => {}, 6].map((value) => attempt(() => remote!.echo(value)));
      const back = [remote!.add(1, 1), remote!.unclonable(), remote!.add(2, 2), remote!.unclonable(), remote!.add(3, 3)];
      return [
        (await Promise.all(there)).map(({ ok, value, error }) => (ok ? value : error!.code)),
        (await Promise.allSettled(back)).map((one) => (one.status === 'fulfilled' ? one.value : (one.reason as Error).message)),
      ];
    });
    const no = expect.stringContaining('the result of unclonable()');
    expect(results).toEqual([
      [1, 2, 'ERR_POOL_REMOTE_CALL', 4, 'ERR_POOL_REMOTE_CALL', 6],
      [2, no, 4, no, 6],
    ]);
  });

  test.each(['unclonable', 'unclonableLater', 'self'] as const)('as the result of %s: an error that says so', async (method) => {
    const { t } = await borrowed({ factory: () => Object.assign(service()(), { socket: () => {} }) });
    const { ok, error } = await settled(t.run(({ held: [remote], attempt }, method) => attempt(() => remote![method]()), method));
    expect(ok).toBe(false);
    expect(error).toMatchObject({ name: 'RemoteCallError', code: 'ERR_POOL_REMOTE_CALL' });
    expect(error!.message).toContain(method);
    expect(await t.run(({ held: [remote] }) => remote!.add(1, 2))).toBe(3);
  });

  test('as the result of a synchronous call: an error that says so', async () => {
    const { t } = await borrowedSync();
    const { error } = await settled(t.run(({ syncHeld: [remote], attempt }) => attempt(() => remote!.unclonable())));
    expect(error).toMatchObject({ name: 'RemoteCallError', code: 'ERR_POOL_REMOTE_CALL' });
    expect(error!.message).toContain('unclonable');
    expect(await t.run(({ syncHeld: [remote] }) => remote!.add(1, 2))).toBe(3);
  });
});

describe('a remote after release', () => {
  const stale = { name: 'RemoteCallError', code: 'ERR_POOL_REMOTE_CALL', pool: 'db' };

  test('is dead: RemoteCallError', async () => {
    const { pool, t } = await borrowed();
    const { error } = await t.run(({ pool, held: [remote], attempt }) => {
      pool.release(remote!);
      return attempt(() => remote!.whoami());
    });
    expect(error).toMatchObject(stale);
    expect(error!.lineage).toContain('PoolError');
    await until(() => pool.idleCount() === 1);
  });

  test('is dead although the same thread has borrowed the same slot again', async () => {
    const { t } = await borrowed({ max: 1 });
    const { error, again } = await t.run(async ({ pool, held: [remote], attempt }) => {
      pool.release(remote!);
      const fresh = await pool.acquire();
      const { error } = await attempt(() => remote!.whoami());
      return { error, again: await fresh.whoami() };
    });
    expect(error).toMatchObject(stale);
    expect(again).toBe(1);
  });

  test('is dead although it was borrowed again and again', async () => {
    const { t } = await borrowed({ max: 1 });
    const { error } = await t.run(async ({ pool, held: [remote], attempt }) => {
      pool.release(remote!);
      for (let i = 0; i < 300; i++) pool.release(pool.acquireSync());
      const fresh = await pool.acquire();
      const result = await attempt(() => remote!.push('from the grave'));
      pool.release(fresh);
      return result;
    });
    expect(error).toMatchObject(stale);
  });

  test('is dead however often the slot was borrowed since', async () => {
    const { t } = await borrowedSync({ max: 1 });
    const alive = await t.run(({ pool, syncHeld }) => {
      const old = syncHeld.pop()!;
      pool.release(old);
      const alive: number[] = [];
      // Counters in a few bits come round at some power of two.
      for (let i = 1; i <= 2 ** 19; i++) {
        const fresh = pool.acquireSync();
        if ((i & 1023) < 2) {
          try {
            old.whoami();
            alive.push(i);
          } catch {}
        }
        pool.release(fresh);
      }
      return alive;
    });
    expect(alive).toEqual([]);
  });

  test('is dead after destroy, too', async () => {
    const { t } = await borrowed();
    const { error } = await t.run(({ pool, held: [remote], attempt }) => {
      pool.destroy(remote!);
      return attempt(() => remote!.whoami());
    });
    expect(error).toMatchObject(stale);
  });

  test('is dead for methods that were taken off it before', async () => {
    const { t } = await borrowed();
    const { error } = await t.run(({ pool, held: [remote], attempt }) => {
      const { whoami } = remote!;
      pool.release(remote!);
      return attempt(() => whoami());
    });
    expect(error).toMatchObject(stale);
  });

  test('is dead when a synchronous one: it throws', async () => {
    const { t } = await borrowedSync({ max: 1 });
    const { error } = await t.run(({ pool, syncHeld: [remote], attempt }) => {
      pool.release(remote!);
      pool.acquireSync();
      return attempt(() => void remote!.whoami());
    });
    expect(error).toMatchObject(stale);
  });

  test('cannot give back what is somebody else’s now', async () => {
    const { pool, t } = await borrowed({ max: 1 });
    const { error } = await t.run(async ({ pool, held, attempt }) => {
      const old = held.pop()!;
      pool.release(old);
      held.push(await pool.acquire());
      return attempt(() => pool.release(old));
    });
    expect(error).toMatchObject({ name: 'NotBorrowedError', code: 'ERR_POOL_NOT_BORROWED', pool: 'db' });
    expect(pool.activeCount()).toBe(1);
  });
});

describe('a release while calls are in flight', () => {
  test('takes effect when they have settled', async () => {
    const slow = gate<string>();
    const pool = await open({ factory: () => ({ slow: () => slow.promise }), max: 1 });
    const t = await thread(pool);
    const call = t.run(async ({ pool, tell }) => {
      const remote = await pool.acquire();
      const call = remote.slow();
      pool.release(remote);
      tell('released');
      return call;
    });
    await until(() => t.told.length === 1);
    const waiting = pool.acquire();
    await pendingUntil(
      t.run(() => {}),
      waiting,
    );
    expect(pool.stats()).toMatchObject({ active: 1, idle: 0 });
    slow.open('finished');
    await settled(waiting);
    expect(await call).toBe('finished');
  });

  test('is known to the owner at once, though this thread computes from then on', async () => {
    const { pool, t } = await borrowed({ max: 1 });
    const busy = t.run(({ pool, held, pending, block }) => {
      const remote = held.pop()!;
      pending.calls = Promise.all([remote.add(1, 1), remote.add(2, 2)]);
      pool.release(remote);
      block(0);
      return pending.calls;
    });
    pool.release(await settled(pool.acquire()));
    t.raise(0);
    expect(await settled(busy)).toEqual([2, 4]);
  });

  test('lets all of them finish, also the ones that fail', async () => {
    const { pool, t } = await borrowed({ max: 1 });
    const results = t.run(({ pool, held, outcome }) => {
      const remote = held.pop()!;
      const calls = [remote.slow(20, 'a'), remote.failLater('no'), remote.slow(40, 'b'), remote.add(1, 2)].map((each) =>
        outcome<unknown>(each),
      );
      pool.release(remote);
      return Promise.all(calls);
    });
    const resource = await settled(pool.acquire());
    expect(resource.running).toBe(0);
    expect((await results).map(({ ok, value }) => [ok, value])).toEqual([
      [true, 'a'],
      [false, undefined],
      [true, 'b'],
      [true, 3],
    ]);
  });

  test('the remote is dead from the release on', async () => {
    const { t } = await borrowed({ max: 1 });
    const { error, call } = await t.run(async ({ pool, held, attempt }) => {
      const remote = held.pop()!;
      const call = remote.slow(30, 'finished');
      pool.release(remote);
      const { error } = await attempt(() => remote.whoami());
      return { error, call: await call };
    });
    expect(error).toMatchObject({ code: 'ERR_POOL_REMOTE_CALL' });
    expect(call).toBe('finished');
  });

  test('a second release is an error', async () => {
    const { t } = await borrowed({ max: 1 });
    const { error } = await t.run(({ pool, held, attempt, pending }) => {
      const remote = held.pop()!;
      pending.call = remote.slow(20);
      pool.release(remote);
      return attempt(() => pool.release(remote));
    });
    expect(error).toMatchObject({ code: 'ERR_POOL_NOT_BORROWED' });
  });

  test('use without awaiting the call: nobody else gets the resource meanwhile', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const [a, b] = await threads(2, pool);
    const used = a!.run(async ({ pool, pending }) => {
      await pool.use((resource) => {
        pending.call = resource.slow(60, 'a');
      });
    });
    await until(() => pool.activeCount() === 1);
    const entries = await settled(b!.run(({ pool }) => pool.use(async (resource) => [await resource.entries(), await resource.add(1, 1)])));
    expect(entries).toEqual([['a'], 2]);
    await settled(used);
    expect(await settled(a!.run(({ pending }) => pending.call))).toBe('a');
  });

  test('other resources of the thread are not held up', async () => {
    const slow = gate();
    const pool = await open({ factory: () => ({ slow: () => slow.promise }), max: 2 });
    const t = await thread(pool);
    await t.run(async ({ pool, pending }) => {
      const [one, other] = [await pool.acquire(), await pool.acquire()];
      pending.slow = one.slow();
      pool.release(one);
      pool.release(other);
    });
    await until(() => pool.idleCount() === 1);
    expect(pool.activeCount()).toBe(1);
    slow.open();
    await until(() => pool.idleCount() === 2);
  });
});

describe('release on a worker', () => {
  test('twice: NotBorrowedError', async () => {
    const { pool, t } = await borrowed();
    const { error } = await t.run(({ pool, held, attempt }) => {
      const remote = held.pop()!;
      pool.release(remote);
      return attempt(() => pool.release(remote));
    });
    expect(error).toMatchObject({ name: 'NotBorrowedError', code: 'ERR_POOL_NOT_BORROWED', pool: 'db' });
    await until(() => pool.stats().released === 1 && pool.idleCount() === 1);
  });

  test('of something foreign: NotBorrowedError', async () => {
    const { t } = await borrowed();
    for (const kind of ['release', 'destroy'] as const) {
      const { error } = await t.run(({ pool, attempt }, kind) => attempt(() => pool[kind]({} as never)), kind);
      expect(error).toMatchObject({ code: 'ERR_POOL_NOT_BORROWED' });
    }
  });

  test('of a remote of another pool: NotBorrowedError', async () => {
    const { t } = await borrowed();
    const other = await open<Service>({ factory: service(), name: 'other' });
    const { error } = await t.run(async ({ pool, attachPool, attempt }, handle) => {
      const remote = await (await attachPool(handle)).acquire();
      return attempt(() => pool.release(remote));
    }, other.handle);
    expect(error).toMatchObject({ code: 'ERR_POOL_NOT_BORROWED', pool: 'db' });
    expect(other.activeCount()).toBe(1);
  });

  test('runs beforeRelease on the owner, and makes the resource available after it', async () => {
    const asked: number[] = [];
    const { pool, t } = await borrowed({ max: 1, beforeRelease: (resource: Service) => void asked.push(resource.id) });
    await t.giveBack();
    await until(() => pool.idleCount() === 1);
    expect(asked).toEqual([1]);
  });

  test('tells the strategy', async () => {
    const reports: string[] = [];
    const { t } = await borrowed({
      circuitBreaker: { reportSuccess: () => void reports.push('success'), reportFailure: () => void reports.push('failure') },
    });
    await t.giveBack();
    await until(() => reports.length === 1);
    expect(reports).toEqual(['success']);
  });
});

describe('destroy on a worker', () => {
  test('rejects a call that runs on for more than a second, and nothing else is told of it', async () => {
    const { pool, t } = await borrowed();
    const error = await t.run(async ({ pool, held, outcome }) => {
      const [remote] = held.splice(0);
      const running = outcome(remote!.slow(3000));
      pool.destroy(remote!);
      return (await running).error;
    });
    expect(error).toMatchObject({ code: 'ERR_POOL_REMOTE_CALL', message: expect.stringContaining('was destroyed while this call ran') });
    await until(() => pool.stats().destroyed === 1);
    expect(await t.run(({ pool }) => pool.use((remote) => remote.add(1, 2)))).toBe(3);
  });

  test('destroys the resource on the owner', async () => {
    const gone: number[] = [];
    const { pool, t } = await borrowed({ max: 1, destructor: (resource: Service) => void gone.push(resource.id) });
    await t.run(({ pool, held }) => pool.destroy(held.pop()!));
    await until(() => pool.count() === 0);
    expect(gone).toEqual([1]);
    expect(pool.stats()).toMatchObject({ destroyed: 1, released: 1 });
  });

  test('reports its error to the strategy', async () => {
    const errors: Error[] = [];
    const { t } = await borrowed({
      circuitBreaker: { reportSuccess() {}, reportFailure: (_: unknown, error: Error) => void errors.push(error) },
    });
    await t.run(({ pool, held }) => pool.destroy(held.pop()!, Object.assign(new TypeError('connection reset'), { code: 'ECONNRESET' })));
    await until(() => errors.length === 1);
    expect(errors[0]).toMatchObject({ name: 'TypeError', message: 'connection reset', code: 'ECONNRESET' });
  });

  test('is never taken for a clean return', async () => {
    const reports: string[] = [];
    const { pool, t } = await borrowed({
      max: 1,
      circuitBreaker: { reportSuccess: () => void reports.push('success'), reportFailure: () => void reports.push('failure') },
    });
    const waiting = pool.acquire();
    await until(() => pool.waitingCount() === 1);
    await t.run(({ pool, held }) => pool.destroy(held.pop()!));
    expect((await settled(waiting)).id).toBe(2);
    await until(() => reports.length === 1);
    expect(reports).toEqual(['failure']);
  });

  test('while a call is in flight: the call settles, and the slot comes back', async () => {
    const { pool, t } = await borrowed({ max: 1 });
    const call = t.run(({ pool, held, outcome }) => {
      const remote = held.pop()!;
      const call = outcome(remote.slow(40, 'finished'));
      pool.destroy(remote);
      return call;
    });
    await settled(call);
    expect((await settled(pool.acquire())).id).toBe(2);
  });

  test('twice: NotBorrowedError', async () => {
    const { t } = await borrowed();
    const { error } = await t.run(({ pool, held, attempt }) => {
      const remote = held.pop()!;
      pool.destroy(remote);
      return attempt(() => pool.destroy(remote));
    });
    expect(error).toMatchObject({ code: 'ERR_POOL_NOT_BORROWED' });
  });
});

test('a resource that a worker has stays away from everyone else', async () => {
  const { pool } = await borrowed({ max: 1 });
  await turns();
  expect(pool.idleCount()).toBe(0);
  expect(await pool.tryAcquire()).toBeNull();
});
