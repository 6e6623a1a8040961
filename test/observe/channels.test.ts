/** What is published on diagnostics channels, and that it costs nothing else. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, onTestFinished, test } from 'vitest';
import { open } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { thread } from '../support/thread.ts';
import { settled, until } from '../support/wait.ts';

type Event = [string, Record<string, unknown>];

/** Every message of a tracing channel, as it was then. */
function trace(name: string): Event[] {
  const events: Event[] = [];
  const on = (what: string) => (context: unknown) => void events.push([what, { ...(context as object) }]);
  const subscribers = { start: on('start'), end: on('end'), asyncStart: on('asyncStart'), asyncEnd: on('asyncEnd'), error: on('error') };
  tracingChannel(name).subscribe(subscribers as never);
  onTestFinished(() => void tracingChannel(name).unsubscribe(subscribers as never));
  return events;
}

function listen(name: string): Record<string, unknown>[] {
  const events: Record<string, unknown>[] = [];
  const heard = (message: unknown) => void events.push(message as Record<string, unknown>);
  subscribe(name, heard);
  onTestFinished(() => void unsubscribe(name, heard));
  return events;
}

const names = (events: Event[]): string[] => events.map(([name]) => name);

describe('cenote:acquire', () => {
  test('an immediate one has start, end, asyncStart and asyncEnd', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 1, max: 1 });
    const events = trace('cenote:acquire');
    const resource = await pool.acquire();
    expect(names(events)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
    expect(events[0]![1]).toEqual({ pool: 'p', owner: 0, threadId: 0, sync: false });
    expect(events[3]![1]).toEqual({ pool: 'p', owner: 0, threadId: 0, sync: false, slot: 0, waited: 0 });
    pool.release(resource);
    await pool.use(() => {});
    (await pool.lease()).release();
    expect(events).toHaveLength(12);
  });

  test('one that waits says for how long, and one that fails says why', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 1, max: 1 });
    const events = trace('cenote:acquire');
    const held = await pool.acquire();
    const next = pool.acquire();
    const since = performance.now();
    await expect(pool.acquire({ timeout: 5 })).rejects.toThrow('nothing to be had');
    expect(names(events.slice(4))).toEqual(['start', 'end', 'start', 'end', 'error', 'asyncStart', 'asyncEnd']);
    expect((events.at(-1)![1].error as { code: string }).code).toBe('ERR_POOL_ACQUIRE_TIMEOUT');
    // A timer may be early by as long as this thread was paused before it was set.
    expect(events.at(-1)![1].waited).toBeGreaterThanOrEqual(0);
    expect(events.at(-1)![1].waited).toBeLessThanOrEqual(performance.now() - since + 1);
    await until(() => performance.now() - since > 5);
    pool.release(held);
    pool.release(await next);
    expect(events.at(-1)![1]).toMatchObject({ slot: 0 });
    expect(events.at(-1)![1].waited).toBeGreaterThan(3);
  });

  test('the acquirer’s async context is there in all of them', async () => {
    const pool = await open<Service>({ factory: service(), min: 1, max: 1 });
    const request = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const on = () => void seen.push(request.getStore());
    const subscribers = { start: on, end: on, asyncStart: on, asyncEnd: on, error: on };
    tracingChannel('cenote:acquire').subscribe(subscribers as never);
    onTestFinished(() => void tracingChannel('cenote:acquire').unsubscribe(subscribers as never));
    const held = await request.run('first', () => pool.acquire());
    const second = request.run('second', () => pool.acquire());
    request.run('returner', () => pool.release(held));
    pool.release(await second);
    expect(seen).toEqual([...Array(4).fill('first'), ...Array(4).fill('second')]);
  });

  test('holds neither the resource nor what the factory said', async () => {
    const failing = await open<Service>({
      factory: () => {
        throw Object.assign(new Error('no route to postgres://user:secret@host'), { code: 'ECONNREFUSED' });
      },
      name: 'p',
    });
    const events = [trace('cenote:acquire'), trace('cenote:create')];
    await expect(failing.acquire()).rejects.toThrow('secret');
    for (const each of events) {
      const { error } = each.at(-1)![1] as { error: Error & { code: string } };
      expect(error.code).toBe('ECONNREFUSED');
      expect(`${error.stack} ${error.cause}`).not.toContain('secret');
    }
  });

  test('on a worker: sleeping ones, too, and nothing of what is only tried', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 1, max: 1 });
    const one = await thread(pool);
    const seen = await one.run(async ({ pool, load, threadId }) => {
      const { tracingChannel: channel } = (await load('node:diagnostics_channel')) as typeof import('node:diagnostics_channel');
      const events: [string, object][] = [];
      const on = (what: string) => (context: unknown) => void events.push([what, { ...(context as object) }]);
      const subscribers = {
        start: on('start'),
        end: on('end'),
        asyncStart: on('asyncStart'),
        asyncEnd: on('asyncEnd'),
        error: on('error'),
      };
      channel('cenote:acquire').subscribe(subscribers as never);
      pool.release(pool.acquireSync());
      pool.release(pool.tryAcquireSync()!);
      pool.release((await pool.tryAcquire())!);
      channel('cenote:acquire').unsubscribe(subscribers as never);
      pool.release(pool.acquireSync());
      return { events, threadId };
    });
    expect(seen.events).toEqual([
      ['start', { pool: 'p', owner: 0, threadId: seen.threadId, sync: true }],
      ['end', { pool: 'p', owner: 0, threadId: seen.threadId, sync: true, slot: 0, waited: 0 }],
    ]);
    expect(pool.stats()).toMatchObject({ acquired: 4, released: 4 });
  });
});

test('cenote:create and cenote:destroy on the owner', async () => {
  const [creations, destructions] = [trace('cenote:create'), trace('cenote:destroy')];
  const pool = await open<Service>({ factory: service(), name: 'own', min: 1, max: 1 });
  // The pool of the test before may still be closing.
  const own = (): Event[] => destructions.filter(([, context]) => context.pool === 'own');
  expect(names(creations)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
  expect(creations[0]![1]).toEqual({ pool: 'own', slot: 0 });
  pool.destroy(await pool.acquire());
  await until(() => own().length >= 4);
  expect(names(own().slice(0, 4)).sort()).toEqual(['asyncEnd', 'asyncStart', 'end', 'start']);
  expect(own()[0]![1]).toEqual({ pool: 'own', slot: 0, reason: 'destroyed' });
});

test('cenote:release, where it is given back, however that is', async () => {
  const pool = await open<Service>({ factory: service(), name: 'p', min: 2, max: 2 });
  const events = listen('cenote:release');
  pool.release(await pool.acquire());
  await pool.use(() => {});
  pool.destroy(await pool.acquire());
  expect(events).toEqual(Array(3).fill({ pool: 'p', slot: expect.any(Number), threadId: 0 }));
  const other = await open<Service>({ factory: service(), name: 'opened later', min: 1 });
  other.release(await other.acquire());
  expect(events.at(-1)).toEqual({ pool: 'opened later', slot: 0, threadId: 0 });
});

test('cenote:state, cenote:reclaim and cenote:leak', async () => {
  const [states, reclaims, leaks] = [listen('cenote:state'), listen('cenote:reclaim'), listen('cenote:leak')];
  const pool = await open<Service>({ factory: service(), name: 'p', min: 2, max: 2, leakDetectionThreshold: 20 });
  pool.deactivate();
  pool.activate();
  expect(states).toEqual([
    { pool: 'p', next: 'inactive', previous: 'active' },
    { pool: 'p', next: 'active', previous: 'inactive' },
  ]);
  const one = await thread(pool);
  await one.hold(2);
  await until(() => leaks.length === 2);
  expect(leaks[0]).toEqual({ pool: 'p', slot: expect.any(Number), threadId: one.id, heldFor: expect.any(Number) });
  await one.terminate();
  await until(() => reclaims.length === 1);
  expect(reclaims).toEqual([{ pool: 'p', threadId: one.id, slots: 2 }]);
});

test('cenote:revoke, with the thread that had it', async () => {
  const revocations = listen('cenote:revoke');
  const pool = await open<Service>({ factory: service(), name: 'p', min: 1, max: 1, maxHold: { revokeAfter: 30 } });
  const one = await thread(pool);
  await one.hold();
  await until(() => revocations.length === 1);
  expect(revocations).toEqual([{ pool: 'p', slot: 0, threadId: one.id, heldFor: expect.any(Number) }]);
  expect(revocations[0]!.heldFor).toBeGreaterThanOrEqual(30);
});

test('a subscriber that throws harms nothing but the program that it is part of', async () => {
  const pool = await open<Service>({ factory: service(), min: 1, max: 1 });
  const uncaught: unknown[] = [];
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => void uncaught.push(error));
  onTestFinished(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  });
  const bad = (): never => {
    throw new Error('from a subscriber');
  };
  for (const name of ['tracing:cenote:acquire:start', 'tracing:cenote:acquire:asyncEnd', 'cenote:release']) {
    subscribe(name, bad);
    onTestFinished(() => void unsubscribe(name, bad));
  }
  for (let i = 0; i < 3; i++) pool.release(await settled(pool.acquire()));
  await until(() => uncaught.length === 9);
  expect(pool.stats()).toMatchObject({ idle: 1, acquired: 3, released: 3 });
});
