/** What a pool shows of itself, on the owner and on a worker. */
import { inspect, report, watchDeadlocks } from 'cenote/observe';
import { describe, expect, onTestFinished, test } from 'vitest';
import { open } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { type Thread, thread, threads } from '../support/thread.ts';
import { settled, until } from '../support/wait.ts';

/** Each holds one pool's only resource, and sleeps for the other's: the first for `timeout` ms, the second until it has it. */
async function deadlock(timeout: number) {
  const north = await open<Service>({ factory: service(), name: 'north', min: 1, max: 1 });
  const south = await open<Service>({ factory: service(), name: 'south', min: 1, max: 1 });
  const [a, b] = (await threads(2)) as [Thread<Service>, Thread<Service>];
  const attach = (one: Thread<Service>) =>
    one.run(
      async ({ keep, attachPool }, handles) => void keep('pools', await Promise.all(handles.map((handle) => attachPool(handle)))),
      [north.handle, south.handle],
    );
  await Promise.all([attach(a), attach(b)]);
  const meet = (one: Thread<Service>, first: number, longest: number) =>
    one.run(
      async ({ kept, attempt, sleep, flags }, index, limit) => {
        const pools = kept<import('cenote/worker').AttachedPool<Service>[]>('pools');
        const held = pools[index]!.acquireSync();
        Atomics.store(flags, 1, 1);
        while (Atomics.load(flags, 0) === 0) await sleep(1);
        const result = await attempt(() => pools[1 - index]!.acquireSync({ timeout: limit }));
        pools[index]!.release(held);
        return result;
      },
      first,
      longest,
    );
  const results = [meet(a, 0, timeout), meet(b, 1, 60_000)] as const;
  for (const result of results) result.catch(() => {});
  const begin = (): void => {
    for (const one of [a, b]) one.raise(0);
  };
  await until(() => Atomics.load(a.flags, 1) + Atomics.load(b.flags, 1) === 2);
  return { north, south, a, b, results, begin };
}

const isKnotted = (one: Thread<Service>, other: Thread<Service>) => ({
  threads: [one.id, other.id].sort((x, y) => x - y),
  pools: ['north', 'south'],
  certainty: 'certain',
});

describe('inspect', () => {
  test('says who has what, who waits, and on which thread', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 2, max: 3 });
    const one = await thread(pool);
    await one.hold(2);
    const mine = await pool.acquire();
    const waiting = one.run(async ({ pool }) => pool.release(await pool.acquire()));
    await until(() => pool.waitingCount() === 1);
    const { slots, line, threads: rows, knots, deadlocks } = inspect(pool);
    expect(slots).toHaveLength(3);
    expect(slots.map(({ state }) => state)).toEqual(['leased', 'leased', 'leased']);
    expect(slots.map(({ threadId }) => threadId).sort()).toEqual([0, one.id, one.id].sort());
    for (const slot of slots) {
      expect(slot).toMatchObject({ pool: 'p', uses: 1 });
      expect(slot.age).toBeGreaterThanOrEqual(0);
      expect(slot.heldFor).toBeGreaterThanOrEqual(0);
    }
    expect(line).toEqual([
      { pool: 'p', ticket: expect.any(Number), thread: 1, threadId: one.id, waitedFor: expect.any(Number), sync: false },
    ]);
    expect(rows).toEqual([
      { pool: 'p', thread: 0, threadId: 0, holds: [expect.any(Number)], waits: 0, alive: true, owner: true },
      { pool: 'p', thread: 1, threadId: one.id, holds: [expect.any(Number), expect.any(Number)], waits: 1, alive: true, owner: false },
    ]);
    // One thread, one pool, and a promise: another function may give back.
    expect({ knots, deadlocks }).toEqual({ knots: [], deadlocks: [] });
    pool.release(mine);
    await settled(waiting);
  });

  test('has a row for each slot that may be used, and says what is empty, made and idle', async () => {
    let arrive: ((made: Service) => void) | undefined;
    let made = 0;
    const factory = (): Service | Promise<Service> => (made++ === 0 ? service()() : new Promise((resolve) => (arrive = resolve)));
    const pool = await open<Service>({ factory: factory as never, min: 1, max: 3 });
    expect(inspect(pool).slots.map(({ state }) => state)).toEqual(['idle', 'empty', 'empty']);
    const [first, second] = [await pool.acquire(), pool.acquire()];
    await until(() => arrive !== undefined);
    expect(
      inspect(pool)
        .slots.map(({ state }) => state)
        .sort(),
    ).toEqual(['empty', 'leased', 'making']);
    arrive!(service()());
    pool.release(first);
    pool.release(await second);
  });

  test('heldFor is never more than true, and exact where holds are traced', async () => {
    const plain = await open<Service>({ factory: service(), min: 1, max: 1 });
    const traced = await open<Service>({ factory: service(), min: 1, max: 1, leakDetectionThreshold: 60_000 });
    const before = performance.now();
    const held = [await plain.acquire(), await traced.acquire()] as const;
    await until(() => performance.now() - before > 60);
    const heldFor = (pool: Parameters<typeof inspect>[0]) => inspect(pool).slots[0]!.heldFor!;
    expect(heldFor(plain)).toBeLessThan(20);
    const exact = heldFor(traced);
    expect(exact).toBeGreaterThanOrEqual(55);
    expect(exact).toBeLessThanOrEqual(performance.now() - before + 1);
    const first = performance.now();
    await until(() => performance.now() - first > 40);
    expect(heldFor(plain)).toBeGreaterThanOrEqual(35);
    // Another hand-out of the same slot begins anew.
    plain.release(held[0]);
    const again = await plain.acquire();
    expect(heldFor(plain)).toBeLessThan(20);
    plain.release(again);
    traced.release(held[1]);
  });

  test('a one-shot call stands under the thread that made it, and is no deadlock', async () => {
    let finish: (() => void) | undefined;
    const pool = await open({ factory: () => ({ work: () => new Promise<void>((resolve) => (finish = resolve)) }), name: 'p', max: 1 });
    const one = await thread(pool);
    const calls = [0, 1].map(() => one.run(({ pool }) => (pool as never as typeof pool).call('work' as never, [] as never)));
    await until(() => finish !== undefined && pool.waitingCount() === 1);
    const { slots, line, threads: rows, knots } = inspect(pool);
    expect(slots[0]).toMatchObject({ state: 'leased', threadId: one.id });
    expect(line[0]).toMatchObject({ threadId: one.id, sync: false });
    expect(rows[1]).toMatchObject({ holds: [0], waits: 1 });
    expect(knots).toEqual([]);
    const first = finish!;
    first();
    // The second has begun.
    await until(() => finish !== first);
    finish!();
    await settled(Promise.all(calls));
  });

  test('what is on its way back behind a call is held by nobody', async () => {
    let finish: (() => void) | undefined;
    const pool = await open({ factory: () => ({ work: () => new Promise<void>((resolve) => (finish = resolve)) }), name: 'p', max: 1 });
    const one = await thread(pool);
    const done = one.run(async ({ pool }) => {
      const resource = await pool.acquire();
      const call = (resource as never as { work(): Promise<void> }).work();
      pool.release(resource);
      pool.acquireSync({ timeout: 30_000 });
      await call;
    });
    await until(() => finish !== undefined && pool.waitingCount() === 1);
    await until(() => inspect(pool).slots[0]!.state === 'returned');
    expect(inspect(pool).knots).toEqual([]);
    finish!();
    await settled(done);
  });

  test('works on a worker as on the owner, and for what has a pool', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 1, max: 1 });
    const one = await thread(pool);
    await one.hold();
    const seen = await one.run(async ({ pool, load }) =>
      ((await load('cenote/observe')) as typeof import('cenote/observe')).inspect([pool, { pool }]),
    );
    expect(seen.slots).toMatchObject([{ pool: 'p', state: 'leased', threadId: one.id }]);
    expect(inspect({ pool }).slots).toHaveLength(1);
  });

  test('two pools of one name are told apart, with one warning', async () => {
    const warnings: string[] = [];
    const warned = (warning: Error) => void warnings.push(warning.message);
    process.on('warning', warned);
    onTestFinished(() => void process.off('warning', warned));
    const twins = [
      await open<Service>({ factory: service(), name: 'twin', min: 1 }),
      await open<Service>({ factory: service(), name: 'twin', min: 1 }),
    ];
    for (let i = 0; i < 3; i++) expect([...new Set(inspect(twins).slots.map(({ pool }) => pool))]).toEqual(['twin', 'twin#2']);
    await until(() => warnings.length > 0);
    expect(warnings.filter((message) => message.includes('twin#2'))).toHaveLength(1);
    await twins[0]!.close();
    expect([...new Set(inspect(twins).threads.map(({ pool }) => pool))]).toEqual(['twin', 'twin#2']);
  });

  test.each([[null], [undefined], [3], ['pool'], [{}], [{ pool: {} }]])('throws for what is no pool: %j', (value) => {
    expect(() => inspect(value as never)).toThrow(TypeError);
    expect(() => inspect([value] as never)).toThrow('cenote/observe takes pools');
  });
});

describe('a deadlock', () => {
  test('is seen by inspect, report and watchDeadlocks, and named in the error of the first that gives up', async () => {
    const { north, south, a, b, results, begin } = await deadlock(10_000);
    const told: { threads: number[] }[] = [];
    const watching = watchDeadlocks([north, south], { onDeadlock: (knot) => void told.push(knot), interval: 20 });
    onTestFinished(() => watching[Symbol.dispose]());
    expect(inspect([north, south]).knots).toEqual([]);
    begin();
    await until(() => inspect([north, south]).knots.length === 1);
    expect(inspect([north, south]).knots[0]).toMatchObject(isKnotted(a, b));
    expect(inspect([north, south]).deadlocks).toEqual([isKnotted(a, b).threads]);
    expect(inspect(north).knots).toEqual([]);
    expect(report([north, south])).toMatch(/DEADLOCK, certain: thread \d+ and thread \d+ wait for each other/);
    await until(() => told.length > 0);
    expect(told[0]).toMatchObject(isKnotted(a, b));
    const errors = (await settled(Promise.all(results))).map(({ error }) => error).filter((error) => error !== undefined);
    expect(errors.length).toBeGreaterThan(0);
    expect(
      errors.some(({ own }) => (own.knot as { threads: number[] } | undefined)?.threads.join() === isKnotted(a, b).threads.join()),
    ).toBe(true);
    expect(errors.some(({ message }) => message.includes('Deadlock, certain: thread'))).toBe(true);
    await until(() => inspect([north, south]).knots.length === 0);
    expect(told).toHaveLength(1);
  });

  test('of a thread with itself is certain, if it sleeps', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 1, max: 1 });
    const one = await thread(pool);
    const result = one.run(async ({ pool, attempt, flags }) => {
      const held = pool.acquireSync();
      let failed = await attempt(() => pool.acquireSync({ timeout: 300 }));
      // It sleeps until it was seen.
      while (Atomics.load(flags, 0) === 0) failed = await attempt(() => pool.acquireSync({ timeout: 300 }));
      pool.release(held);
      return failed.error;
    });
    await until(() => inspect(pool).deadlocks.length === 1);
    one.raise(0);
    expect((await settled(result))!.own.knot).toMatchObject({ threads: [one.id], certainty: 'certain' });
  });

  test('of two jobs on one thread is certain by their tags, though they wait with promises', async () => {
    const pools = [
      await open<Service>({ factory: service(), name: 'a', min: 1, max: 1 }),
      await open<Service>({ factory: service(), name: 'b', min: 1, max: 1 }),
    ] as const;
    let job = 0;
    const running = (number: number, index: 0 | 1) => {
      job = number;
      return pools[index].acquire();
    };
    for (const pool of pools) (pool as unknown as { tagWith(tag: () => number): void }).tagWith(() => job);
    const held = [await running(17, 0), await running(18, 1)] as const;
    const waiting = [running(17, 1), running(18, 0)];
    expect(inspect(pools).knots).toMatchObject([{ threads: [0], pools: ['a', 'b'], certainty: 'certain' }]);
    pools[0].release(held[0]);
    pools[1].release(held[1]);
    const got = await Promise.all(waiting);
    pools[1].release(got[0]!);
    pools[0].release(got[1]!);
    expect(inspect(pools).knots).toEqual([]);
  });

  test('an ordinary timeout has none', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 1, max: 1 });
    const held = await pool.acquire();
    const error = await pool.acquire({ timeout: 20 }).catch((reason: unknown) => reason as import('cenote').AcquireTimeoutError);
    expect('knot' in (error as object)).toBe(false);
    pool.release(held);
  });
});

describe('watchDeadlocks', () => {
  test('tells again of a knot that dissolved and came back, and goes on after a callback that throws', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 1, max: 1, ceiling: 2 });
    const one = await thread(pool);
    const warnings: string[] = [];
    const warned = (warning: Error) => void warnings.push(warning.message);
    process.on('warning', warned);
    onTestFinished(() => void process.off('warning', warned));
    let told = 0;
    const watching = watchDeadlocks([pool], {
      interval: 10,
      onDeadlock: () => {
        told++;
        throw new Error('from onDeadlock');
      },
    });
    onTestFinished(() => watching[Symbol.dispose]());
    for (let round = 1; round <= 2; round++) {
      const result = one.run(({ pool }) => {
        const held = pool.acquireSync();
        const other = pool.acquireSync({ timeout: 60_000 });
        pool.release(held);
        pool.release(other);
      });
      await until(() => told === round);
      // Another one dissolves it.
      await pool.resize({ max: 2 });
      await settled(result);
      await pool.resize({ max: 1 });
    }
    expect(told).toBe(2);
    await until(() => warnings.includes('from onDeadlock'));
  });

  test.each([
    [{}, 'onDeadlock must be a function'],
    [{ onDeadlock: 3 }, 'onDeadlock must be a function'],
    [{ onDeadlock() {}, interval: 0 }, 'interval must be from 1'],
    [{ onDeadlock() {}, interval: '5' }, 'interval must be a number'],
    [{ onDeadlock() {}, certainty: 'sure' }, 'certainty must be'],
    [{ onDeadlock() {}, intervall: 5 }, 'do you mean interval'],
  ])('refuses %j', (options, message) => expect(() => watchDeadlocks([], options as never)).toThrow(message));
});
