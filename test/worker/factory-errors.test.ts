/** What the factory failed with is kept for a waiter that is told so, and for nobody else. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MessagePort } from 'node:worker_threads';
import { expect, onTestFinished, test, vi } from 'vitest';
import * as protocol from '../../dist/shared/wire/protocol.js';
import { open } from '../support/pools.ts';
import { thread } from '../support/thread.ts';
import { BOUND, rejection, settled, until } from '../support/wait.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

test('on the owner nothing is kept for a waiter that is aborted when the factory has just failed for it', async () => {
  const controller = new AbortController();
  const errors: WeakRef<Error>[] = [];
  const pool = await open({
    max: 1,
    factory: () => {
      const error = new Error('broken');
      errors.push(new WeakRef(error));
      return Promise.reject(error);
    },
    // Hears of the failure when the waiter has been failed, and has not looked yet.
    circuitBreaker: { reportSuccess() {}, reportFailure: () => controller.abort('enough') },
  });
  expect(await rejection(pool.acquire({ signal: controller.signal }))).toBe('enough');
  await until(() => {
    collect();
    return errors.length === 1 && errors[0]!.deref() === undefined;
  });
});

test('a worker is told to forget the error for a waiter of it that has left meanwhile', async () => {
  const pool = await open<object>({ max: 1, factory: () => new Promise((_, reject) => setTimeout(reject, 50, new Error('broken'))) });
  pool.on('error', () => {});
  const worker = await thread(pool);
  const sent: unknown[][] = [];
  const post = MessagePort.prototype.postMessage;
  const spy = vi.spyOn(MessagePort.prototype, 'postMessage').mockImplementation(function (this: MessagePort, ...args) {
    const [message] = args as [unknown];
    if (Array.isArray(message)) sent.push(...(message as unknown[][]).filter(Array.isArray));
    const isFailure = Array.isArray(message) && message[0]?.[0] === protocol.FACTORY_FAILURE;
    if (isFailure) {
      // The waiter leaves between the message and the word of its cell.
      worker.raise(1);
      for (const end = performance.now() + BOUND / 2; pool.waitingCount() > 0 && performance.now() < end; );
    }
    return Reflect.apply(post, this, args);
  });
  onTestFinished(() => spy.mockRestore());
  const left = worker.run(async ({ pool, block, attempt }) => {
    const controller = new AbortController();
    const acquired = attempt(() => pool.acquire({ signal: controller.signal }));
    block(1);
    controller.abort('enough');
    return acquired;
  });
  expect(await settled(left)).toMatchObject({ ok: false, error: { thrown: 'enough' } });
  const told = sent.filter(([type]) => type === protocol.FACTORY_FAILURE || type === protocol.SPARED);
  const [, cell, ticket] = told[0]!;
  expect(told[1]).toEqual([protocol.SPARED, cell, ticket]);
});
