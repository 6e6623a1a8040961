/** What a hostile thread may post: the owner answers or drops it, and goes on serving the others. An uncaught exception here would fail the run. */
import type { Pool } from 'cenote';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as protocol from '../../dist/shared/wire/protocol.js';
import { ControlBlock } from '../../dist/shared/words/control-block.js';
import { leasedTo, leaseOf } from '../../dist/shared/words/slot.js';
import { open } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { type Thread, thread } from '../support/thread.ts';
import { gate, settled, sleep, until } from '../support/wait.ts';
import { rogue } from './rogue.ts';

const { ALONE, CALL, CALL_SYNC, RELEASE, DESTROY, TRACE, DETACH, CALL_ONCE, CANCEL } = protocol;

const leaseIn = (pool: Pool<unknown>, slot: number): number =>
  leaseOf(ControlBlock.attach(pool.handle.buffer as SharedArrayBuffer).slots.load(slot));

/** The neighbour is served, within a bound. */
async function expectServed(neighbour: Thread<Service>): Promise<void> {
  expect(await settled(neighbour.run(({ pool }) => pool.use((each) => each.add(1, 2))))).toBe(3);
}

/** Cannot be made text or number of: what was an object with functions is cloned without them. */
const STUBBORN = { toString: 5, valueOf: 5 };

async function scene() {
  const pool = await open({ factory: service(), max: 2 });
  const neighbour = await thread(pool);
  const bad = await rogue(pool as Pool<unknown>);
  expect((await bad.attach())[0]).toBe(protocol.ATTACHED);
  return { pool, neighbour, bad };
}

describe('messages', () => {
  test('nonsense of every kind is dropped or refused', async () => {
    const { neighbour, bad } = await scene();
    await bad.post([
      undefined,
      null,
      7,
      'text',
      {},
      [],
      [[]],
      [null],
      [undefined, [DETACH + 100]],
      [['__proto__']],
      [[STUBBORN]],
      [[CALL]],
      [[CALL, 1, 0, 0, 'add', 'no list']],
      [[CALL, 1, 0, 0, 'add', [7]]],
      [[CALL, 1n, 0, 0, 'add', [[]]]],
      [[CALL, STUBBORN, 0, 0, 'add', [[]]]],
      [[CALL, 1, STUBBORN, STUBBORN, STUBBORN, [[1, 2]]]],
      [[CALL_SYNC, 2, 0, 0, STUBBORN, []]],
      [[CALL_SYNC, STUBBORN, 0, 0, 'add', []]],
      [[CALL_SYNC, 3, -1, 0, 'add', []]],
      [[CALL_SYNC, 3, 1e9, 0, 'add', []]],
      [[RELEASE]],
      [[RELEASE, 0, 0]],
      [[RELEASE, '__proto__', {}]],
      [[DESTROY, 0, 0, null]],
      [[TRACE, 1, STUBBORN]],
      [[TRACE, STUBBORN, 'somewhere']],
      [[CALL_ONCE]],
      [[CALL_ONCE, 1, undefined, STUBBORN, []]],
      [[CALL_ONCE, STUBBORN, undefined, 'add', []]],
      [[CALL_ONCE, 5n, undefined, 'add', []]],
      [[CALL_ONCE, 4, STUBBORN, 'add', [1, 2]]],
      [[CALL_ONCE, 5, -1, 'add', [1, 2]]],
      [[CALL_ONCE, 5, { claim: STUBBORN, tag: STUBBORN }, 'add', [1, 2]]],
      [[CALL_ONCE, 5, { claim: -1, tag: Number.NaN }, 'add', [1, 2]]],
      [[CALL_ONCE, 6, undefined, '__proto__', []]],
      [[CALL_ONCE, 7, undefined, 'constructor', []]],
      [[CALL_ONCE, 8, undefined, 'toString', []]],
      [[CALL_ONCE, 9, undefined, 'hasOwnProperty', ['id']]],
      [[CANCEL]],
      [[CANCEL, STUBBORN]],
      [[ALONE]],
      [[ALONE, STUBBORN, STUBBORN]],
      [[ALONE, 10, 'add()']],
      [[CALL, 11, 0, 0, 'add', [[]], STUBBORN]],
      [[CALL_ONCE, 12, undefined, 'add', [1, 2], [undefined, new Date(0), {}]]],
    ]);
    await expectServed(neighbour);
  });

  test('refusals name what is wrong, and carry the number they were asked with', async () => {
    const { bad } = await scene();
    const answers = await bad.post(
      [[[CALL, 11, 0, 0, 'add', [[1, 2]]]], [[CALL_SYNC, 12, 0, 0, STUBBORN, []]], [[CALL_ONCE, 13, undefined, 'constructor', []]]],
      3,
    );
    expect(answers.map(([type, id]) => [type, id]).sort()).toEqual([11, 12, 13].map((id) => [protocol.FAILURE, id]));
  });

  test("another thread's lease is not its own to release, destroy or call, and what it was not asked it cannot answer", async () => {
    const { pool, neighbour, bad } = await scene();
    await neighbour.hold();
    const lease = leaseIn(pool as Pool<unknown>, 0);
    const answers = await bad.post(
      [
        [[RELEASE, 0, lease]],
        [[DESTROY, 0, lease, { value: 'mine now' }]],
        [[TRACE, 1, 'not here']],
        [[CALL, 1, 0, lease, 'whoami', [[]]]],
        [[CALL_SYNC, 2, 0, lease, 'whoami', []]],
      ],
      2,
    );
    expect(answers.map(([type]) => type)).toEqual([protocol.FAILURE, protocol.FAILURE]);
    expect(pool.stats()).toMatchObject({ active: 1, destroyed: 0 });
    expect(await neighbour.run(({ held }) => held[0]!.whoami())).toBe(1);
    await neighbour.giveBack();
  });

  test.each([
    ['a message that is a list of four billion holes', () => new Array(4_294_967_295)],
    ['a run of four billion calls', () => [[1, 1, 0, 0, 'add', new Array(4_294_967_295)]]],
    ['a one-shot call with four billion arguments', () => [[7, 1, undefined, 'countArguments', new Array(4_294_967_295)]]],
    ['a one-shot call with a hundred million arguments', () => [[7, 1, undefined, 'countArguments', new Array(100_000_000)]]],
    [
      'arguments nested ten thousand deep',
      () => {
        let deep: unknown[] = [];
        for (let i = 0; i < 10_000; i++) deep = [deep];
        return [[7, 1, undefined, 'echo', [deep]]];
      },
    ],
    [
      'cyclic arguments',
      () => {
        const cycle: unknown[] = [];
        cycle.push(cycle);
        return [[7, 1, undefined, 'echo', cycle]];
      },
    ],
    ['two thousand calls of nothing', () => Array.from({ length: 2000 }, (_, id) => [1, id, 0, 0, 'add', [[1, 2]]])],
  ])('%s: the others are served meanwhile', async (_, make) => {
    const { neighbour, bad } = await scene();
    await bad.postMade(make);
    await expectServed(neighbour);
  });

  test('errors that are none: the resource goes, the owner lives', async () => {
    const { pool, neighbour, bad } = await scene();
    const hostile: (() => unknown)[] = [
      () => null,
      () => 7,
      () => ({}),
      () => ({ name: 'x' }),
      () => ({ name: {}, message: {}, own: [] }),
      () => ({ name: 'x', message: 'y', own: [['__proto__', { polluted: true }, true, 'value']] }),
      () => ({ name: 'x', message: 'y', own: [[{ toString: 5, valueOf: 5 }, 1, true, 'value']] }),
      () => ({ name: 'x', message: 'y', own: [['a', 7, true, 'errors']] }),
      () => ({ name: 'x', message: 'y'.repeat(1_000_000), stack: {}, own: [] }),
      () => {
        const self: Record<string, unknown> = { name: 'x', message: 'y', own: [] };
        self.cause = self;
        return self;
      },
      () => {
        let doubled: unknown = { name: 'x', message: 'y', own: [] };
        for (let i = 0; i < 40; i++) doubled = { name: 'x', message: 'y', own: [['errors', [doubled, doubled], true, 'errors']] };
        return doubled;
      },
    ];
    for (const [index, make] of hostile.entries()) {
      await neighbour.run(({ pool }) => pool.use(() => {}));
      // Borrowed by hand: LEASED under the rogue's number.
      const block = ControlBlock.attach(pool.handle.buffer as SharedArrayBuffer);
      const lease = block.slots.borrow(0, leasedTo(2));
      expect(lease, `no. ${index}`).not.toBe(0);
      await bad.thread.run(
        ({ kept }, text, lease) => {
          const error = new Function(`return (${text})();`)();
          kept<import('node:worker_threads').MessagePort>('port').postMessage([[4, 0, lease, error]]);
        },
        String(make),
        lease,
      );
      await until(() => pool.stats().destroyed === index + 1);
      await expectServed(neighbour);
    }
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test('two one-shot calls of one number: neither outlives its thread', async () => {
    const { pool, neighbour, bad } = await scene();
    await bad.post([[[CALL_ONCE, 1, undefined, 'hang', []]], [[CALL_ONCE, 1, undefined, 'hang', []]]]);
    await bad.thread.terminate();
    await until(() => pool.activeCount() === 0);
    await expectServed(neighbour);
  });

  test('LEAVE twice, and messages after it: nothing of them is heard', async () => {
    const { pool, neighbour, bad } = await scene();
    await bad.post([[[DETACH], [DETACH], [CALL_ONCE, 1, undefined, 'hang', []]], [[CALL_ONCE, 2, undefined, 'hang', []]], [[DETACH]]]);
    await until(() => pool.stats().threads === 1);
    expect(pool.activeCount()).toBe(0);
    await expectServed(neighbour);
  });

  test('a one-shot call after LEAVE that is granted in the moment in which the thread goes: nothing is lost', async () => {
    const running = gate();
    class Slow {
      wait(): Promise<void> {
        return running.promise;
      }
    }
    const pool = await open({ factory: () => new Slow(), max: 2 });
    const held = await pool.acquire();
    const bad = await rogue(pool as Pool<unknown>);
    expect((await bad.attach())[0]).toBe(protocol.ATTACHED);
    // Its first one-shot call runs, and is all that it still stays for; the second waits.
    await bad.post([[[CALL_ONCE, 1, undefined, 'wait', []]], [[DETACH]], [[CALL_ONCE, 2, undefined, 'wait', []]]]);
    await until(() => pool.waitingCount() === 1);
    // The grant is known one microtask before the end of the first one-shot call, at which the thread goes, and taken up one after it.
    pool.release(held);
    running.open();
    await until(() => pool.stats().threads === 0);
    await until(() => pool.idleCount() === 2);
  });

  test('messages of any shape', async () => {
    const { neighbour, bad } = await scene();
    const any = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withSparseArray: true,
    });
    const request = fc.oneof(any, fc.array(any), fc.tuple(fc.integer({ min: 0, max: 9 }), any, any, any, any, any));
    const messages = fc.sample(fc.array(request, { maxLength: 4 }), { numRuns: 500, seed: 20 }).filter((message) => {
      try {
        structuredClone(message);
        return true;
      } catch {
        return false;
      }
    });
    expect(messages.length).toBeGreaterThan(100);
    await bad.post(messages);
    await expectServed(neighbour);
  });
});

describe('requests to attach', () => {
  test('forged, broken and foreign ones take no record and harm nobody', async () => {
    const pool = await open({ factory: service(), max: 1, maxThreads: 2 });
    const neighbour = await thread(pool);
    const heard: unknown[] = [];
    const listen = (message: unknown): void => void heard.push(message);
    process.on('workerMessage' as never, listen as never);
    const t = await thread();
    await t.run(async (_, { owner, buffer }) => {
      const { MessageChannel, postMessageToThread } = process.getBuiltinModule('node:worker_threads') as never as {
        MessageChannel: typeof import('node:worker_threads').MessageChannel;
        postMessageToThread(owner: number, message: unknown, transfer?: unknown[]): Promise<void>;
      };
      const poolId = new Int32Array(buffer as SharedArrayBuffer)[3];
      const type = 'cenote:attach';
      const say = (message: unknown, transfer?: unknown[]) => postMessageToThread(owner, message, transfer).catch(() => {});
      for (const message of [7, null, 'cenote:attach', {}, { type }, { type, poolId }, { type, poolId, threadId: {}, port: {} }])
        await say(message);
      for (let i = 0; i < 200; i++) await say({ type, poolId, threadId: 5n, port: null });
      const unknown = new MessageChannel();
      await say({ type, poolId: {}, threadId: 1, port: unknown.port2 }, [unknown.port2]);
      const closed = new MessageChannel();
      closed.port1.close();
      await say({ type, poolId, threadId: 1, port: closed.port2 }, [closed.port2]);
      await say({ hello: 'not ours' });
    }, pool.handle);
    process.off('workerMessage' as never, listen as never);
    expect(heard).toContainEqual({ hello: 'not ours' });
    await until(() => pool.stats().threads === 1);
    const late = await thread(pool);
    await expectServed(late);
    await expectServed(neighbour);
  });

  test('thousands from one thread do not use up the records of all', async () => {
    const pool = await open({ factory: service(), max: 2, maxThreads: 16 });
    const neighbour = await thread(pool);
    const t = await thread();
    const attaching = t.run(async ({ keep }, { owner, buffer }) => {
      const { MessageChannel, postMessageToThread } = process.getBuiltinModule('node:worker_threads') as never as {
        MessageChannel: typeof import('node:worker_threads').MessageChannel;
        postMessageToThread(owner: number, message: unknown, transfer?: unknown[]): Promise<void>;
      };
      const poolId = new Int32Array(buffer as SharedArrayBuffer)[3];
      const ports = keep<unknown[]>('ports', []);
      for (let i = 0; i < 2000; i++) {
        const { port1, port2 } = new MessageChannel();
        ports.push(port1);
        await postMessageToThread(owner, { type: 'cenote:attach', poolId, threadId: 100_000 + i, port: port2 }, [port2]);
      }
    }, pool.handle);
    await sleep(20);
    await expectServed(neighbour);
    const late = await thread(pool);
    await expectServed(late);
    await settled(attaching);
    expect(pool.stats().threads).toBeLessThanOrEqual(10);
  });
});
