/** Waiters of one thread that share one place in the line. Nothing public makes one: cenote/pg does, for queries without a connection. */
import { inspect } from 'cenote/observe';
import type { Remote } from 'cenote/worker';
import { expect, test } from 'vitest';
import type { WorkerPool } from '../../src/worker/pool.ts';
import type { Sharer } from '../../src/worker/shared-place.ts';
import { deaths } from '../support/deaths.ts';
import { expectWhole, open } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { type Thread, thread } from '../support/thread.ts';
import { settled, until } from '../support/wait.ts';

type Outcome = 'granted' | string;

/**
 * Has the thread wait `count` times at one place; `kept('outcomes')` says what became of each, in that order. What is granted is given back
 * at once if `takesAlong` is 0, or after so many of those behind were served with it.
 */
const wait = (t: Thread<Service>, count: number, takesAlong = 0): Promise<void> =>
  t.run(
    ({ pool, keep, kept, tell }, most, along) => {
      const worker = pool as unknown as WorkerPool<Service>;
      const place = (kept<ReturnType<typeof worker.sharedPlace> | undefined>('place') ?? keep('place', worker.sharedPlace()))!;
      const outcomes = kept<Outcome[] | undefined>('outcomes') ?? keep('outcomes', [] as Outcome[]);
      for (let n = 0; n < most; n++) {
        const at = outcomes.length;
        outcomes.push('waits');
        const sharer: Sharer<Remote<Service>> & { end(): void } = {
          granted: (resource) => {
            for (let left = along; left > 0; left--) {
              const waiting = place.takeAlong(() => true);
              if (waiting?.begin()) (waiting.sharer as typeof sharer).end();
            }
            pool.release(resource);
            sharer.end();
          },
          refused: (error) => {
            outcomes[at] = (error as { code: string }).code ?? String(error);
          },
          end: () => {
            outcomes[at] = 'granted';
            tell(at);
          },
        };
        place.wait(sharer);
      }
    },
    count,
    takesAlong,
  );
const outcomes = (t: Thread<Service>): Promise<Outcome[]> => t.run(({ kept }) => kept<Outcome[]>('outcomes'));

const isOver = async (t: Thread<Service>): Promise<Outcome[] | false> => {
  const all = await outcomes(t);
  return !all.includes('waits') && all;
};

test('each counts among those that wait, and all are served by one grant after the other', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const held = await pool.acquire();
  const t = await thread(pool);
  await wait(t, 20);
  expect(pool.waitingCount()).toBe(20);
  expect(pool.stats().waiting).toBe(20);
  const { line, threads } = inspect([pool]);
  // One place in the line, and a thread that waits for twenty.
  expect(line.map(({ threadId }) => threadId)).toEqual([t.id]);
  expect(threads.map(({ threadId, waits }) => [threadId, waits])).toEqual([
    [0, 0],
    [t.id, 20],
  ]);
  pool.release(held);
  expect(await until(() => isOver(t))).toEqual(Array.from({ length: 20 }, () => 'granted'));
  expect(t.told).toEqual(Array.from({ length: 20 }, (_, n) => n));
  expect(pool.stats()).toMatchObject({ waiting: 0, active: 0, acquired: 21, waitTime: { count: 20 } });
  await expectWhole(pool);
});

test('what was granted to one may serve those behind it, which leave', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const held = await pool.acquire();
  const t = await thread(pool);
  await wait(t, 20, 7);
  pool.release(held);
  expect(await until(() => isOver(t))).toEqual(Array.from({ length: 20 }, () => 'granted'));
  // 8, 8 and 4.
  expect(pool.stats()).toMatchObject({ waiting: 0, active: 0, acquired: 4, waitTime: { count: 20 } });
});

test('one that leaves is told nothing, counts no more, and is not served where it was taken along', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const held = await pool.acquire();
  const t = await thread(pool);
  const seen = await t.run(({ pool }) => {
    const worker = pool as unknown as WorkerPool<Service>;
    const place = worker.sharedPlace();
    const told: string[] = [];
    const add = (name: string) =>
      place.wait({ granted: () => void told.push(`${name} granted`), refused: () => void told.push(`${name} refused`) })!;
    const [first, second, third] = ['first', 'second', 'third'].map(add);
    const counts = [pool.waitingCount()];
    second.leave();
    second.leave();
    counts.push(pool.waitingCount());
    const along = place.takeAlong(() => true)!;
    along.leave();
    along.back();
    counts.push(pool.waitingCount());
    const begins = [along === first, along.begin(), second.begin()];
    third.leave();
    counts.push(pool.waitingCount());
    return { counts, begins, told };
  });
  expect(seen).toEqual({ counts: [3, 2, 1, 0], begins: [true, false, false], told: [] });
  pool.release(held);
  expect(pool.stats()).toMatchObject({ waiting: 0, active: 0, idle: 1, acquired: 1 });
  await expectWhole(pool);
});

test('threads take turns, however many wait on each', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const held = await pool.acquire();
  const [many, few] = [await thread(pool), await thread(pool)];
  await wait(many, 50);
  await wait(few, 2);
  expect(pool.waitingCount()).toBe(52);
  // Two places, and no more: a borrower of the owner's comes third.
  const third = pool.acquire();
  await until(() => pool.waitingCount() === 53);
  pool.release(held);
  pool.release(await settled(third));
  expect(few.told.length + many.told.length).toBeLessThan(10);
  await until(() => isOver(many));
  await until(() => isOver(few));
});

test('the limit of those that wait holds for them as well', async () => {
  const pool = await open<Service>({ factory: service(), max: 1, maxWaiting: 5 });
  const held = await pool.acquire();
  const [one, other] = [await thread(pool), await thread(pool)];
  await wait(one, 7);
  expect((await outcomes(one)).slice(5)).toEqual(['ERR_POOL_QUEUE_FULL', 'ERR_POOL_QUEUE_FULL']);
  await wait(other, 1);
  expect(await outcomes(other)).toEqual(['ERR_POOL_QUEUE_FULL']);
  await expect(pool.acquire()).rejects.toMatchObject({ code: 'ERR_POOL_QUEUE_FULL', message: expect.stringContaining('5 are waiting') });
  pool.release(held);
  await until(() => isOver(one));
  await expectWhole(pool);
});

test('each has the timeout of the pool, and the place goes with the last', async () => {
  const pool = await open<Service>({ factory: service(), max: 1, acquireTimeout: 50 });
  const held = await pool.acquire();
  const t = await thread(pool);
  await wait(t, 3);
  expect(await until(() => isOver(t))).toEqual(Array.from({ length: 3 }, () => 'ERR_POOL_ACQUIRE_TIMEOUT'));
  expect(pool.stats()).toMatchObject({ waiting: 0, timedOut: 3 });
  pool.release(held);
  await expectWhole(pool);
});

test('the end of the pool, of the attachment, and of the breaker’s patience refuses each of them', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const held = await pool.acquire();
  const [t, leaver] = [await thread(pool), await thread(pool)];
  await wait(t, 3);
  pool.deactivate();
  expect(await until(() => isOver(t))).toEqual(Array.from({ length: 3 }, () => 'ERR_POOL_UNAVAILABLE'));
  pool.activate();
  await wait(leaver, 3);
  await wait(t, 3);
  const left = leaver.run(({ pool }) => pool.detach());
  expect(await until(() => isOver(leaver))).toEqual(Array.from({ length: 3 }, () => 'ERR_POOL_CLOSED'));
  await left;
  expect(pool.waitingCount()).toBe(3);
  pool.release(held);
  await until(() => isOver(t));
  const last = await pool.acquire();
  await wait(t, 3);
  const closed = pool.close();
  await until(() => isOver(t));
  expect((await outcomes(t)).slice(-3)).toEqual(Array.from({ length: 3 }, () => 'ERR_POOL_CLOSED'));
  pool.release(last);
  await closed;
});

test('a factory that fails fails one of them at a time', async () => {
  let failures = 2;
  const make = service();
  const pool = await open<Service>({
    factory: () => {
      if (failures-- > 0) throw Object.assign(new Error('not now'), { code: 'ENOTNOW' });
      return make();
    },
    max: 1,
  });
  const t = await thread(pool);
  await wait(t, 4);
  expect(await until(() => isOver(t))).toEqual(['ENOTNOW', 'ENOTNOW', 'granted', 'granted']);
});

test.each(deaths)('a thread that dies by %s leaves nothing of those that waited', async (_, die) => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const held = await pool.acquire();
  const t = await thread(pool);
  void t.exited;
  await wait(t, 20);
  expect(pool.waitingCount()).toBe(20);
  await die(t);
  await until(() => pool.waitingCount() === 0);
  // The record of the thread is another's now.
  const next = await thread(pool);
  await wait(next, 2);
  expect(pool.waitingCount()).toBe(2);
  pool.release(held);
  await until(() => isOver(next));
  await expectWhole(pool);
});

test('a thread that sleeps in line takes what its place was granted, and the others wait on in the sleeper’s', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const held = await pool.acquire();
  const t = await thread(pool);
  await wait(t, 3);
  const slept = t.run(({ pool }) => {
    const resource = pool.acquireSync();
    const id = resource.whoami();
    pool.release(resource);
    return id;
  });
  await until(() => pool.waitingCount() === 4);
  pool.release(held);
  expect(await settled(slept)).toBe(1);
  expect(await until(() => isOver(t))).toEqual(['granted', 'granted', 'granted']);
  await expectWhole(pool);
});

test('what was taken along and comes back is the first again, and is served once', async () => {
  const pool = await open<Service>({ factory: service(), max: 1 });
  const held = await pool.acquire();
  const t = await thread(pool);
  const seen = t.run(async ({ pool, keep }) => {
    const place = (pool as unknown as WorkerPool<Service>).sharedPlace();
    const order: string[] = [];
    const all = ['a', 'b', 'c'].map(
      (name) =>
        new Promise<void>((resolve) => {
          place.wait({
            granted: (resource) => {
              order.push(name);
              pool.release(resource as never);
              resolve();
            },
            refused: resolve,
          });
        }),
    );
    const first = place.takeAlong(() => true)!;
    const second = place.takeAlong(() => true)!;
    order.push(`${place.waitingForEach}`);
    second.back();
    first.back();
    second.back();
    order.push(`${place.waitingForEach}`);
    keep('ready', true);
    await Promise.all(all);
    return [...order, first.begin(), second.begin(), place.takeAlong(() => true)];
  });
  await until(() => pool.waitingCount() === 3);
  pool.release(held);
  expect(await settled(seen)).toEqual(['1', '3', 'a', 'b', 'c', false, false, undefined]);
  await expectWhole(pool);
});

test.each([1, 2, 3, 4])(
  'whatever is granted, taken along, given back and timed out on three threads, nothing is lost: seed %i',
  async (seed) => {
    // All there from the beginning: an owner that is late would make them when everybody's time is over.
    const pool = await open<Service>({ factory: service(), min: 2, max: 2, acquireTimeout: 20 });
    const workers = [await thread(pool), await thread(pool), await thread(pool)];
    const ends = workers.map((t, number) =>
      t.run(
        async ({ pool, sleep }, first) => {
          let state = first;
          /** A whole number below `most`. */
          const draw = (most: number): number => {
            state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
            return (state >>> 8) % most;
          };
          const place = (pool as unknown as WorkerPool<Service>).sharedPlace();
          const counts = { granted: 0, timedOut: 0, twice: 0, other: [] as string[] };
          const all: Promise<void>[] = [];
          for (let round = 0; round < 400; round++) {
            all.push(
              new Promise<void>((resolve) => {
                let isOver = false;
                const end = (count: 'granted' | 'timedOut'): void => {
                  if (isOver) counts.twice++;
                  isOver = true;
                  counts[count]++;
                  resolve();
                };
                const sharer: Sharer<Remote<Service>> & { end(): void } = {
                  granted: (resource) => {
                    const along = [place.takeAlong(() => true), place.takeAlong(() => draw(2) === 0)].filter((one) => one !== undefined);
                    const later = (): void => {
                      for (const one of along) {
                        if (draw(3) === 0) one.back();
                        if (one.begin()) (one.sharer as typeof sharer).end();
                      }
                      pool.release(resource);
                      end('granted');
                    };
                    if (draw(2) === 0) later();
                    else setTimeout(later, draw(4));
                  },
                  refused: (error) => {
                    if ((error as { code: string }).code !== 'ERR_POOL_ACQUIRE_TIMEOUT') counts.other.push(String(error));
                    end('timedOut');
                  },
                  end: () => end('granted'),
                };
                place.wait(sharer);
              }),
            );
            if (draw(8) === 0) await sleep(draw(3));
          }
          await Promise.all(all);
          return counts;
        },
        seed * 7 + number,
      ),
    );
    for (const { granted, timedOut, twice, other } of await settled(Promise.all(ends))) {
      expect([granted + timedOut, twice, other]).toEqual([400, 0, []]);
      expect(granted).toBeGreaterThan(0);
    }
    expect(pool.waitingCount()).toBe(0);
    await expectWhole(pool);
  },
);
