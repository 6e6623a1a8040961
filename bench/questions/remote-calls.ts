/**
 * What does a call on a borrowed resource cost, over the postMessage round trip that it is made of?
 *
 * `postMessage` is a message there and one back, awaited. It is also what the synchronous call is set against, as that is what there is without one; beside the two ways in which a
 * thread can wait for a message without its event loop.
 */

import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { createPool, type PoolHandle } from 'cenote';
import { attachPool } from 'cenote/worker';
import { atMost } from '../frame/goals.ts';
import type { Effort, Question, Row } from '../frame/question.ts';
import { compare, type Figures, measure, scale } from '../frame/rounds.ts';
import { withThreads } from '../frame/thread.ts';

const IN_FLIGHT = 32;
/** As long as cenote watches its bell before it sleeps. */
const SPIN_MS = 0.05;

interface Service {
  echo(value: number): number;
}

type Answers = Readonly<Record<'one' | 'many' | 'sync', Figures>>;

export const remoteCalls: Question = {
  name: 'remote-calls',
  asks: 'a call from a worker over a bare postMessage round trip: one at a time, 32 in flight, synchronous',
  async run(effort): Promise<Row[]> {
    const pool = await createPool<Service>({ factory: () => ({ echo: (value) => value }), min: 1, max: 1 });
    const bell = new Int32Array(new SharedArrayBuffer(4));
    const later = new MessageChannel();
    later.port1.on('message', (value) => later.port1.postMessage(value));
    const sleeping = new MessageChannel();
    sleeping.port1.on('message', (value) => {
      sleeping.port1.postMessage(value);
      Atomics.add(bell, 0, 1);
      Atomics.notify(bell, 0);
    });
    const ports = [later.port2, sleeping.port2];
    const answers = await withThreads(1, ([thread]) =>
      thread.run<Answers>(import.meta.url, 'onWorker', [pool.handle, effort, ...ports, bell], ports),
    );
    later.port1.close();
    sleeping.port1.close();
    await pool.close();
    return [
      ...compare('call: one at a time', 'us', scale(answers.one, 1e-3), { postMessage: atMost(1.1) }),
      ...compare(`call: ${IN_FLIGHT} in flight`, 'us', scale(answers.many, 1e-3), { postMessage: atMost(0.7) }),
      ...compare('call: synchronous', 'us', scale(answers.sync, 1e-3), { postMessage: atMost(0.5) }),
    ];
  },
};

export async function onWorker(
  handle: PoolHandle<Service>,
  effort: Effort,
  later: MessagePort,
  sleeping: MessagePort,
  bell: Int32Array,
): Promise<Answers> {
  const pool = await attachPool(handle);
  const remote = await pool.acquire();
  const waiting: ((value: number) => void)[] = [];
  later.on('message', (value: number) => waiting.shift()!(value));
  const post = (value: number): Promise<number> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      later.postMessage(value);
    });
  const postSync = (value: number, spin: number): number => {
    sleeping.postMessage(value);
    for (;;) {
      const seen = Atomics.load(bell, 0);
      const answer = receiveMessageOnPort(sleeping);
      if (answer !== undefined) return answer.message;
      const end = spin === 0 ? 0 : performance.now() + spin;
      while (Atomics.load(bell, 0) === seen && performance.now() < end);
      Atomics.wait(bell, 0, seen);
    }
  };

  const one = await measure(
    {
      cenote: { async: true, ops: 1, run: () => remote.echo(1) },
      postMessage: { async: true, ops: 1, run: () => post(1) },
    },
    effort,
  );
  const numbers = Array.from({ length: IN_FLIGHT }, (_, i) => i);
  const many = await measure(
    {
      cenote: { async: true, ops: IN_FLIGHT, run: () => Promise.all(numbers.map((n) => remote.echo(n))) },
      postMessage: { async: true, ops: IN_FLIGHT, run: () => Promise.all(numbers.map(post)) },
    },
    effort,
  );
  pool.release(remote);
  const remoteSync = pool.acquireSync();
  const sync = await measure(
    {
      cenote: { async: false, ops: 1, run: () => void remoteSync.echo(1) },
      postMessage: { async: true, ops: 1, run: () => post(1) },
      'postMessage, then sleep': { async: false, ops: 1, run: () => void postSync(1, 0) },
      'postMessage, spin, sleep': { async: false, ops: 1, run: () => void postSync(1, SPIN_MS) },
    },
    effort,
  );
  pool.release(remoteSync);
  later.close();
  sleeping.close();
  await pool.detach();
  return { one, many, sync };
}
