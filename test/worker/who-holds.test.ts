/** Who holds what, as errors and 'leak' say it: a one-shot call is its caller's, though the owner borrows for it. */
import { MessagePort, threadId } from 'node:worker_threads';
import { expect, onTestFinished, test, vi } from 'vitest';
import { BEHALF_GONE } from '../../dist/shared/layout.js';
import * as protocol from '../../dist/shared/wire/protocol.js';
import { ControlBlock } from '../../dist/shared/words/control-block.js';
import { noTimeouts } from '../support/no-timeouts.ts';
import { open, record } from '../support/pools.ts';
import { thread } from '../support/thread.ts';
import { ownTime } from '../support/time.ts';
import { rejection, settled, until } from '../support/wait.ts';

class Desk {
  gates: (() => void)[] = [];
  async slow(): Promise<string> {
    await new Promise<void>((resolve) => this.gates.push(resolve));
    return 'done';
  }
}

async function scene(max: number, options: object = {}) {
  const made: Desk[] = [];
  const pool = await open<Desk>({
    factory: () => {
      made.push(new Desk());
      return made.at(-1)!;
    },
    max,
    ...options,
  });
  /** Lets all calls end. */
  const finish = (): void => {
    for (const desk of made) for (const gate of desk.gates.splice(0)) gate();
  };
  return { pool, finish, running: () => made.reduce((calls, desk) => calls + desk.gates.length, 0) };
}

const messageOf = async (promise: PromiseLike<unknown>): Promise<string> => ((await rejection(promise)) as Error).message;

test("the owner's timeout does not count what workers have by one-shot calls as its own", async () => {
  const { pool, finish, running } = await scene(2);
  const worker = await thread(pool);
  const calls = worker.run(({ pool }) => Promise.all([pool.call('slow', []), pool.call('slow', [])]));
  await until(() => running() === 2);
  const message = await messageOf(pool.acquire({ timeout: 20 }));
  expect(message).toContain('2 of 2 are out or being made, 0 of them with this thread;');
  expect(message).not.toContain('itself');
  finish();
  expect(await settled(calls)).toEqual(['done', 'done']);
  // What was lent for their sake is now the owner's own.
  const held = [await pool.acquire(), await pool.acquire()];
  expect(await messageOf(pool.acquire({ timeout: 20 }))).toContain('2 of them with this thread: it may be waiting for itself');
  for (const desk of held) pool.release(desk);
});

test('the owner that has the only resource itself may wait for itself, and a worker that waits for it by call does not', async () => {
  const { pool } = await scene(1);
  const worker = await thread(pool);
  const held = await pool.acquire();
  expect(await messageOf(pool.acquire({ timeout: 20 }))).toContain('1 of them with this thread: it may be waiting for itself');
  expect(await messageOf(worker.run(({ pool }) => pool.call('slow', [], { timeout: 20 })))).toContain('0 of them with this thread;');
  pool.release(held);
});

test("a worker's timeout counts its one-shot calls apart from what it has borrowed", async () => {
  const { pool, finish, running } = await scene(2);
  const worker = await thread(pool);
  const both = worker.run(async ({ pool, flags, sleep }) => {
    const call = pool.call('slow', []);
    // A call is asked for by a message, which may come after what is asked for by shared memory.
    while (Atomics.load(flags, 0) === 0) await sleep(1);
    const desk = await pool.acquire();
    const errors = [await pool.acquire({ timeout: 20 }).then(String, String)];
    try {
      pool.acquireSync({ timeout: 20 });
    } catch (error) {
      errors.push(String(error));
    }
    errors.push(await pool.call('slow', [], { timeout: 20 }).then(String, String));
    pool.release(desk);
    await call;
    return errors;
  });
  await until(() => running() === 1);
  worker.raise(0);
  // The thread counts the third one itself, and gives its desk back right then.
  await until(() => running() === 1 && pool.stats().timedOut === 3);
  finish();
  for (const message of await settled(both)) {
    expect(message).toContain('2 of 2 are out or being made, 1 of them with this thread and 1 in its one-shot calls;');
    expect(message).not.toContain('itself');
  }
});

test('a one-shot call that waits for what its own thread holds says so', async () => {
  const { pool } = await scene(1);
  const worker = await thread(pool);
  await worker.hold();
  const message = await messageOf(worker.run(({ pool }) => pool.call('slow', [], { timeout: 20 })));
  expect(message).toContain('1 of them with this thread: it may be waiting for itself');
  await worker.giveBack();
});

test("a call whose thread has died is neither the owner's nor that of the next thread with the same record", async () => {
  const time = ownTime();
  const { pool, running } = await scene(1);
  const { slots } = ControlBlock.attach(pool.handle.buffer);
  const doomed = await thread(pool);
  void doomed.run(({ pool }) => pool.call('slow', [])).catch(() => {});
  await until(() => running() === 1);
  expect(slots.behalf(0)).toBe(1);
  const log = record(pool);
  await doomed.terminate();
  await until(() => log.detached.length === 1);
  expect(slots.behalf(0)).toBe(BEHALF_GONE);
  const message = messageOf(pool.acquire({ timeout: 1 }));
  await time.pass(1);
  expect(await message).toContain('0 of them with this thread;');
  // It is orphaned a second after its thread has died: the slot is free of it then.
  const next = pool.acquire({ timeout: 5000 });
  await time.pass(1000);
  const desk = await settled(next);
  expect(slots.behalf(0)).toBe(0);
  pool.release(desk);
});

test("'leak' names the thread whose one-shot call takes too long, with the stack of that call", async () => {
  // So that the owner does not stop waiting for it.
  noTimeouts();
  const { pool, finish, running } = await scene(1, { leakDetectionThreshold: 20 });
  const log = record(pool);
  const worker = await thread(pool);
  const call = worker.run(({ pool }) => {
    const theFunctionThatCalls = () => pool.call('slow', []);
    return theFunctionThatCalls();
  });
  await until(() => running() === 1 && log.leaks.length === 1);
  expect(log.leaks[0]!.threadId).toBe(worker.id);
  expect(log.leaks[0]!.heldFor).toBeGreaterThanOrEqual(19);
  expect(log.leaks[0]!.stack).toContain('theFunctionThatCalls');
  finish();
  await settled(call);
});

test("a call of the owner itself that takes too long is the owner's 'leak'", async () => {
  const { pool, finish, running } = await scene(1, { leakDetectionThreshold: 20 });
  const log = record(pool);
  const theFunctionThatCalls = async () => {
    await pool.call('slow', []);
  };
  const call = theFunctionThatCalls();
  await until(() => running() === 1 && log.leaks.length === 1);
  expect(log.leaks[0]!.threadId).toBe(threadId);
  expect(log.leaks[0]!.stack).toContain('theFunctionThatCalls');
  finish();
  await settled(call);
});

test('with leak detection on, a hand-out is still no message', async () => {
  const { pool } = await scene(1, { leakDetectionThreshold: 60_000 });
  const worker = await thread(pool);
  const sent = await worker.run(async ({ pool, sent }) => {
    pool.release(await pool.acquire());
    const messages = await sent(async () => {
      for (let i = 0; i < 200; i++) pool.release(pool.acquireSync());
      for (let i = 0; i < 200; i++) pool.release(await pool.acquire());
    });
    return messages.length;
  });
  // Now and then a thread looks after its owner, with a message that is never sent: see `isOtherEndThere`.
  expect(sent).toBeLessThan(5);
});

test('a thread that sleeps in line says where it has borrowed', async () => {
  // So that the owner does not stop waiting for it: the thread looks up now and then only.
  noTimeouts();
  const { pool } = await scene(1, { leakDetectionThreshold: 20 });
  const log = record(pool);
  const worker = await thread(pool);
  const asleep = worker.run(({ pool }) => {
    const theFunctionThatForgets = () => pool.acquireSync();
    const desk = theFunctionThatForgets();
    try {
      pool.acquireSync({ timeout: 60_000 });
    } catch {}
    pool.release(desk);
  });
  await until(() => log.leaks.length === 1);
  expect(log.leaks[0]!.stack).toContain('theFunctionThatForgets');
  expect(pool.waitingCount()).toBe(1);
  await worker.terminate();
  await rejection(asleep);
});

test('a thread that is busy is waited for two seconds, and then the event has no stack', async () => {
  const { pool } = await scene(1, { leakDetectionThreshold: 20 });
  const log = record(pool);
  const worker = await thread(pool);
  const busy = worker.run(async ({ pool, block }) => {
    const desk = await pool.acquire();
    block(1);
    pool.release(desk);
  });
  await until(() => log.leaks.length === 1);
  expect(log.leaks[0]).toEqual({ threadId: worker.id, heldFor: expect.any(Number) });
  worker.raise(1);
  await settled(busy);
});

test('a thread that dies before it has said where: told at once, without a stack', async () => {
  const { pool } = await scene(1, { leakDetectionThreshold: 20 });
  const heard: string[] = [];
  pool.on('leak', ({ stack }) => heard.push(stack === undefined ? 'leak' : 'leak with a stack'));
  pool.on('detach', () => heard.push('detach'));
  const worker = await thread(pool);
  const post = vi.spyOn(MessagePort.prototype, 'postMessage');
  onTestFinished(() => post.mockRestore());
  const busy = worker.run(async ({ pool, block, tell }) => {
    await pool.acquire();
    // It answers what it hears before it blocks.
    tell('blocked');
    block(1);
  });
  await until(() => worker.told.length === 1);
  // It has been asked.
  await until(() => post.mock.calls.some(([message]) => Array.isArray(message) && message[0]?.[0] === protocol.WHERE));
  await worker.terminate();
  await rejection(busy);
  await until(() => heard.includes('detach'));
  expect(heard).toEqual(['leak', 'detach']);
});

test('what a program makes of its stacks does not end the thread that is asked for one', async () => {
  const { pool } = await scene(1, { leakDetectionThreshold: 20 });
  const log = record(pool);
  const worker = await thread(pool);
  await worker.run(async ({ pool, held }) => {
    Error.prepareStackTrace = () => [() => {}];
    held.push(await pool.acquire());
  });
  await until(() => log.leaks.length === 1);
  expect(log.leaks[0]).not.toHaveProperty('stack');
  await worker.run(() => {
    Error.prepareStackTrace = undefined as never;
  });
  await worker.giveBack();
  expect(pool.idleCount()).toBe(1);
});
