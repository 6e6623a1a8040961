/** A worker that is asked nonsense, is answered nonsense, or has had its ports patched by somebody: it says so or drops it, and works on. */
import { expect, test } from 'vitest';
import * as protocol from '../../dist/shared/wire/protocol.js';
import { open } from '../support/pools.ts';
import { service } from '../support/service.ts';
import { thread } from '../support/thread.ts';

test('public functions of a worker with values of any kind: an error of ours, TypeError or RangeError, and nothing is kept', async () => {
  const pool = await open({ factory: service(), max: 2, acquireTimeout: 200 });
  const t = await thread(pool);
  const wrong = await t.run(async ({ pool, load, outcome }) => {
    const { default: fc } = (await load('fast-check')) as typeof import('fast-check');
    // biome-ignore lint/suspicious/noExplicitAny: what is passed is of any kind.
    type Any = any;
    const revoked = () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return proxy;
    };
    const odd = fc.constantFrom<unknown>(-0, Number.NaN, 2 ** 53, -1, 1e308, Number.POSITIVE_INFINITY, 1n, Symbol('odd'), () => {}, null);
    const any = fc.oneof(
      { weight: 5, arbitrary: fc.oneof(fc.anything(), odd).map((value) => () => value) },
      { weight: 1, arbitrary: fc.constant(revoked) },
    );
    const acts: ((value: Any) => unknown)[] = [
      async (value) => pool.release(await pool.acquire(value)),
      async (value) => pool.release(await pool.acquire({ timeout: value })),
      async (value) => pool.release(await pool.acquire({ signal: value })),
      (value) => pool.release(pool.acquireSync(value) as Any),
      (value) => pool.release(pool.acquireSync({ timeout: value }) as Any),
      (value) => pool.use(value),
      (value) => pool.use(() => {}, value),
      (value) => pool.useSync(value),
      (value) => pool.useSync(() => {}, value),
      async (value) => (await pool.lease(value)).release(),
      (value) => pool.call(value, [] as Any),
      (value) => pool.call('add', value),
      (value) => pool.call('add', [1, 2], { timeout: value }),
      (value) => pool.use((each: Any) => each.add(value, value)),
      (value) => pool.useSync((each: Any) => each.add(value, value)),
      (value) => pool.release(value),
      (value) => pool.destroy(value),
      (value) => pool.synchronous(value),
      (value) => pool.asynchronous(value),
    ];
    const wrong: string[] = [];
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: acts.length - 1 }), any, async (act, make) => {
        const value = make();
        let settled = false;
        const ended = outcome((async () => void (await acts[act]!(value)))()).then((result) => {
          settled = true;
          return result;
        });
        await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 15_000).unref())]);
        if (!settled) wrong.push(`act ${act} does not end`);
        // What a resource's own method says of its arguments is its own.
        else if (act !== 13 && act !== 14) {
          const { error } = await ended;
          if (error !== undefined && !/^(TypeError|RangeError)$/.test(error.name) && !String(error.code).startsWith('ERR_POOL'))
            wrong.push(`act ${act}: ${error.name} ${error.message}`);
        }
        // A call that was given up is the owner's to end, when its thread comes to it.
        const end = performance.now() + 15_000;
        while (pool.activeCount() !== 0 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 1));
        if (pool.activeCount() !== 0) wrong.push(`act ${act} keeps something`);
      }),
      { numRuns: 300, seed: 11 },
    );
    return wrong;
  });
  expect(wrong).toEqual([]);
  expect(await t.run(({ pool }) => pool.useSync((each) => each.add(1, 2)))).toBe(3);
});

/** Attached by hand, so that what arrives at its port can be had. */
async function overheard() {
  const pool = await open({ factory: service(), max: 2 });
  const t = await thread();
  await t.run(async ({ attachPool, keep }, handle) => {
    const { MessagePort } = process.getBuiltinModule('node:worker_threads');
    const { on } = MessagePort.prototype;
    MessagePort.prototype.on = function (this: typeof MessagePort.prototype, event: never, listener: never) {
      if (event === 'message') keep('hear', listener);
      return on.call(this, event, listener);
    } as never;
    keep('mine', await attachPool(handle));
    MessagePort.prototype.on = on;
  }, pool.handle);
  return { pool, t };
}

test('answers that are malformed, stale or for nobody are dropped by a worker, and it works on', async () => {
  const { t } = await overheard();
  const got = await t.run(
    async ({ kept }, { ANSWER, FAILURE, SHARED, FACTORY_FAILURE, ATTACHED }) => {
      const hear = kept<(responses: unknown) => void>('hear');
      const pool = kept<import('cenote/worker').AttachedPool<import('../support/service.ts').Service>>('mine');
      // Numbers of calls begin with 1: this answer is stale from here on.
      const first = await pool.use((each) => each.add(1, 2));
      for (const responses of [
        undefined,
        null,
        7,
        'text',
        {},
        [undefined],
        [7],
        [[]],
        [[999]],
        [[ANSWER]],
        [[ANSWER, 1, 'no list']],
        [[ANSWER, 1, [99]]],
        [[ANSWER, -5, [1, 2, 3]]],
        [[ANSWER, 'x', [1]]],
        [[FAILURE, 1, null]],
        [[FAILURE, 1, { name: 5 }]],
        [[FAILURE, {}, { value: 1 }]],
        [[SHARED, 99, 1, 'value']],
        [[FACTORY_FAILURE, 0, 12345, { value: 'stale' }]],
        [[FACTORY_FAILURE, 'x', null, null]],
        [[ATTACHED, 3]],
      ])
        hear(responses);
      const second = await pool.use((each) => each.add(3, 4));
      const tooOld = pool.useSync((each) => each.add(5, 6));
      // For a call under way: what is no error's wire form becomes an error, and its own answer is then stale.
      const failed = await new Promise((resolve) => {
        void pool.use(async (each) => {
          const answer = each.add(7, 8);
          for (let id = 2; id < 40; id++) hear([[FAILURE, id, { nonsense: true }]]);
          await answer.then(resolve, (error: Error) => resolve(error.message));
        });
      });
      return {
        first,
        second,
        tooOld,
        failed,
        last: await pool.use((each) => each.add(9, 10)),
      };
    },
    { ...protocol } as Record<'ANSWER' | 'FAILURE' | 'SHARED' | 'FACTORY_FAILURE' | 'ATTACHED', number>,
  );
  expect(got.first).toBe(3);
  expect(got.second).toBe(7);
  expect(got.tooOld).toBe(11);
  expect(got.failed).toContain('cannot be read');
  expect(got.last).toBe(19);
});

test('a port that somebody has wrapped works; one that refuses to send fails the call, not the thread', async () => {
  const pool = await open({ factory: service(), max: 1 });
  const t = await thread(pool);
  const got = await t.run(async ({ pool }) => {
    const { MessagePort } = process.getBuiltinModule('node:worker_threads');
    const { postMessage } = MessagePort.prototype;
    let posted = 0;
    MessagePort.prototype.postMessage = function (this: typeof MessagePort.prototype, ...args: never) {
      posted++;
      return Reflect.apply(postMessage, this, args);
    } as never;
    const wrapped = [await pool.use((each) => each.add(1, 2)), pool.useSync((each) => each.add(3, 4)), posted > 0];
    MessagePort.prototype.postMessage = () => {
      throw new Error('no');
    };
    const error = (await pool.use((each) => each.add(1, 2)).catch((error) => error)) as Error & { code: string };
    const syncCode = (() => {
      try {
        return pool.useSync((each) => each.add(1, 2));
      } catch (error) {
        return (error as { code: string }).code;
      }
    })();
    MessagePort.prototype.postMessage = postMessage;
    return { wrapped, code: error.code, message: error.message, syncCode, last: await pool.use((each) => each.add(5, 6)) };
  });
  expect(got.wrapped).toEqual([3, 7, true]);
  expect(got.code).toBe('ERR_POOL_REMOTE_CALL');
  expect(got.message).toContain('add() cannot be sent to the owner\'s thread: "no"');
  expect(got.syncCode).toBe('ERR_POOL_REMOTE_CALL');
  expect(got.last).toBe(11);
  expect(pool.activeCount()).toBe(0);
});
