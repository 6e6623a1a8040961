import { type AttachedPool, attachPool } from 'cenote/worker';
import { describe, expect, onTestFinished, test } from 'vitest';
import { deaths } from '../support/deaths.ts';
import { thread, threads } from '../support/thread.ts';
import { failureOf, outcome, rejection, settled, until } from '../support/wait.ts';

const closed = { name: 'PoolClosedError', code: 'ERR_POOL_CLOSED', pool: 'elsewhere' };

interface Machine {
  whoami(): number;
  slow(ms: number): Promise<string>;
  hang(): Promise<never>;
}

/** A pool that lives on a thread of its own; its owner holds `held` of them. */
const elsewhere = async ({ max = 2, held = 0 } = {}) => {
  const owner = await thread<Machine>();
  const handle = await owner.run(
    async ({ cenote, keep, flags }, max, held) => {
      const { createPool } = await cenote();
      let id = 0;
      const pool = await createPool<Machine>({
        name: 'elsewhere',
        max,
        factory: () => {
          const mine = ++id;
          return {
            whoami: () => mine,
            slow: (ms) => new Promise((resolve) => setTimeout(resolve, ms, 'slow')),
            hang: () => {
              Atomics.add(flags, 1, 1);
              return new Promise(() => {});
            },
          };
        },
      });
      keep('pool', pool);
      for (let i = 0; i < held; i++) await pool.acquire();
      return pool.handle;
    },
    max,
    held,
  );
  return { owner, handle };
};
/** Attaches the main thread, and detaches it after the test. */
const attachHere = async (handle: Parameters<typeof attachPool<Machine>>[0]): Promise<AttachedPool<Machine>> => {
  const pool = await attachPool(handle);
  onTestFinished(async () => {
    await outcome(pool.detach()).catch(() => {});
  });
  return pool;
};

describe.each(deaths)('an owner that dies by %s', (_, kill) => {
  test('everyone in line is refused, on main thread and siblings, sleepers included', async () => {
    const { owner, handle } = await elsewhere({ max: 1, held: 1 });
    const pool = await attachHere(handle);
    const [a, b] = await threads(2, handle);
    const waiting = [rejection(pool.acquire()), rejection(a!.hold()), rejection(b!.run(({ pool }) => void pool.acquireSync()))];
    await until(() => pool.waitingCount() === 3);
    kill(owner);
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject(closed);
    // Nobody leaves a place in line behind, at which a sibling that has not been told yet would hand over what it gives back.
    expect(pool.waitingCount()).toBe(0);
  });

  test('calls in flight are refused, asynchronous and synchronous', async () => {
    const { owner, handle } = await elsewhere();
    const pool = await attachHere(handle);
    const t = await thread(handle);
    const calls = [
      rejection(pool.use((resource) => resource.hang())),
      rejection(t.run(({ pool }) => pool.useSync((resource) => resource.hang()))),
    ];
    await until(() => Atomics.load(owner.flags, 1) === 2);
    kill(owner);
    for (const error of await Promise.all(calls)) expect(error).toMatchObject(closed);
  });

  test('everything later is refused', async () => {
    const { owner, handle } = await elsewhere();
    const pool = await attachHere(handle);
    const t = await thread(handle);
    const mine = await pool.acquire();
    await t.hold();
    kill(owner);
    await owner.exited;
    await until(() => pool.isClosed());
    expect(await rejection(pool.acquire())).toMatchObject(closed);
    expect(await failureOf(() => pool.acquireSync())).toMatchObject(closed);
    expect(await settled(pool.tryAcquire())).toBeNull();
    expect(pool.tryAcquireSync()).toBeNull();
    expect(await failureOf(() => mine.whoami())).toMatchObject(closed);
    await until(() => t.run(({ pool }) => pool.isClosed()));
    const result = await settled(
      t.run(async ({ pool, held, attempt }) => ({
        acquire: await attempt(() => pool.acquire()),
        acquireSync: await attempt(() => void pool.acquireSync()),
        tryAcquire: (await pool.tryAcquire()) === null,
        tryAcquireSync: pool.tryAcquireSync() === null,
        call: await attempt(() => held[0]!.whoami()),
      })),
    );
    expect(result).toMatchObject({
      acquire: { error: closed },
      acquireSync: { error: closed },
      tryAcquire: true,
      tryAcquireSync: true,
      call: { error: closed },
    });
  });
});

test('a thread that never comes to its event loop learns of the death of the owner, too', async () => {
  const owner = await thread<{ port: number }>();
  const handle = await owner.run(async ({ cenote, keep }) => {
    const { createPool } = await cenote();
    let port = 0;
    const make = () => ({ port: ++port });
    return keep('pool', await createPool({ name: 'elsewhere', min: 3, max: 3, factory: make, share: (resource) => resource.port })).handle;
  });
  const workers = await threads(3, handle);
  const loops = workers.map((t, i) =>
    t.run(async ({ pool, tell }, i) => {
      tell('off');
      const end = performance.now() + 60_000;
      try {
        while (performance.now() < end) {
          const resource = i === 0 ? pool.acquireSync() : i === 1 ? pool.tryAcquireSync() : await pool.acquire();
          if (resource === null) return 'null';
          pool.release(resource);
        }
        return 'never noticed';
      } catch (error) {
        return (error as { code?: unknown }).code;
      }
    }, i),
  );
  await until(() => workers.every(({ told }) => told.length > 0));
  await owner.terminate();
  expect(await settled(Promise.all(loops))).toEqual(['ERR_POOL_CLOSED', 'null', 'ERR_POOL_CLOSED']);
});

test('so does one that holds for long after it has borrowed often, as soon as it has held so for a while', async () => {
  const owner = await thread<object>();
  const handle = await owner.run(async ({ cenote, keep }) => {
    const { createPool } = await cenote();
    return keep('pool', await createPool({ name: 'elsewhere', min: 1, max: 1, factory: () => ({}) })).handle;
  });
  const worker = await thread(handle);
  const loop = worker.run(({ pool, tell }) => {
    const asleep = new Int32Array(new SharedArrayBuffer(4));
    for (let times = 0; times < 250; times++) pool.release(pool.acquireSync());
    const end = performance.now() + 60_000;
    try {
      for (let times = 0; performance.now() < end; times++) {
        const resource = pool.acquireSync();
        Atomics.wait(asleep, 0, 0, 20);
        pool.release(resource);
        if (times === 30) tell('at that pace');
      }
      return 'never noticed';
    } catch (error) {
      return (error as { code?: unknown }).code;
    }
  });
  await until(() => worker.told.length > 0);
  await owner.terminate();
  expect(await settled(loop)).toBe('ERR_POOL_CLOSED');
});

test('so does one that sleeps, and whose Error is frozen', async () => {
  const owner = await thread<object>();
  const handle = await owner.run(async ({ cenote, keep }) => {
    const { createPool } = await cenote();
    const pool = keep('pool', await createPool({ name: 'elsewhere', min: 1, max: 1, factory: () => ({}) }));
    await pool.acquire();
    return pool.handle;
  });
  const worker = await thread(handle);
  const asleep = worker.run(({ pool, tell, attempt }) => {
    Object.freeze(Error);
    tell('off');
    return attempt(() => void pool.acquireSync({ timeout: 50_000 }));
  });
  await until(() => worker.told.length > 0);
  await owner.terminate();
  expect((await settled(asleep)).error).toMatchObject({ code: 'ERR_POOL_CLOSED' });
});

describe('after the death of the owner', () => {
  test('release and destroy do nothing, however often', async () => {
    const { owner, handle } = await elsewhere();
    const pool = await attachHere(handle);
    const [one, two] = [await pool.acquire(), await pool.acquire()];
    await owner.terminate();
    await until(() => pool.isClosed());
    for (let i = 0; i < 2; i++) {
      expect(() => pool.release(one)).not.toThrow();
      expect(() => pool.destroy(two)).not.toThrow();
    }
  });

  test('attachPool is refused, on a new thread as well as on one that was attached', async () => {
    const { owner, handle } = await elsewhere();
    const t = await thread(handle);
    await owner.terminate();
    expect(await rejection(thread(handle))).toMatchObject(closed);
    await until(() => t.run(({ pool }) => pool.isClosed()));
    expect(await rejection(t.run(async ({ attachPool, handle }) => void (await attachPool(handle))))).toMatchObject(closed);
    expect(await rejection(attachPool(handle))).toMatchObject(closed);
  });

  test('detach resolves', async () => {
    const { owner, handle } = await elsewhere();
    const pool = await attachPool(handle);
    await pool.acquire();
    await owner.terminate();
    await settled(pool.detach());
  });

  test('stats and counts can still be read', async () => {
    const { owner, handle } = await elsewhere();
    const pool = await attachHere(handle);
    await pool.acquire();
    await owner.terminate();
    await until(() => pool.isClosed());
    expect(pool.stats()).toMatchObject({ name: 'elsewhere', closed: true, max: 2 });
  });

  test('an acquireSync that begins just then does not sleep for ever', async () => {
    const { owner, handle } = await elsewhere({ max: 1, held: 1 });
    const workers = await threads(3, handle);
    const ended = owner.terminate();
    const late = workers.map((t) => outcome(t.run(({ pool }) => void pool.acquireSync())));
    await ended;
    for (const { error } of await Promise.all(late)) expect(error).toMatchObject(closed);
  });

  test('a timeout that is shorter still comes as a timeout or as a closed pool, in time', async () => {
    const { owner, handle } = await elsewhere({ max: 1, held: 1 });
    const pool = await attachHere(handle);
    await owner.terminate();
    const error = await rejection(pool.acquire({ timeout: 100 }));
    expect(['ERR_POOL_CLOSED', 'ERR_POOL_ACQUIRE_TIMEOUT']).toContain((error as { code?: unknown }).code);
  });
});

test('an owner that closes its pool before it ends: the others are refused, and calls of borrowers are answered until then', async () => {
  const { owner, handle } = await elsewhere();
  const pool = await attachHere(handle);
  const mine = await pool.acquire();
  await owner.run(({ kept }) => kept<import('cenote').Pool<Machine>>('pool').close());
  expect(await settled(mine.whoami())).toBe(1);
  expect(await rejection(pool.acquire())).toMatchObject(closed);
  pool.release(mine);
  await until(() => pool.count() === 0);
});

test('an owner that is merely busy for a while is not taken for dead', async () => {
  const { owner, handle } = await elsewhere({ max: 1 });
  const t = await thread(handle);
  await t.hold();
  const sleeper = await thread(handle);
  const waiting = sleeper.run(({ pool }) => pool.useSync((resource) => resource.whoami()));
  const busy = owner.run(() => {
    const end = performance.now() + 2500;
    while (performance.now() < end);
  });
  await t.run(({ held: [remote], pending }) => void (pending.call = remote!.whoami()));
  await busy;
  expect(await settled(t.run(({ pending }) => pending.call))).toBe(1);
  await t.giveBack();
  expect(await settled(waiting)).toBe(1);
});

test('a pool whose owner lives is not affected by the death of another owner', async () => {
  const [dead, alive] = [await elsewhere(), await elsewhere()];
  const t = await thread(alive.handle);
  await t.run(async ({ attachPool, keep }, handle) => void keep('dead', await attachPool(handle)), dead.handle);
  await dead.owner.terminate();
  await until(() => t.run(({ kept }) => kept<AttachedPool<Machine>>('dead').isClosed()));
  expect(await settled(t.run(({ pool }) => pool.use((resource) => resource.whoami())))).toBe(1);
  expect(await t.run(({ pool }) => pool.isClosed())).toBe(false);
});
