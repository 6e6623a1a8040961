/** Several threads of one process that own a budget each: members like any other. */
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { settled, until } from '../support/wait.ts';
import { member, newKey, poolOn, urlOf } from './support.ts';

class Owner {
  readonly worker: Worker;
  readonly ready: Promise<unknown>;
  #number = 0;

  constructor(settings: object) {
    this.worker = new Worker(new URL('./programs/thread.js', import.meta.url), { workerData: settings, execArgv: [] });
    this.ready = settled(new Promise((resolve) => this.worker.once('message', resolve)));
    onTestFinished(async () => {
      await this.worker.terminate();
    });
  }

  async ask(what: string, value?: number): Promise<any> {
    const id = ++this.#number;
    return await settled(
      new Promise((resolve) => {
        const hear = (message: { id?: number; value?: unknown }): void => {
          if (message.id !== id) return;
          this.worker.off('message', hear);
          resolve(message.value);
        };
        this.worker.on('message', hear);
        this.worker.postMessage({ id, what, value });
      }),
    );
  }
}

const out = (owner: Owner, count: number): Promise<unknown> => until(async () => (await owner.ask('state')).out === count);

test('they share the limit; one that is terminated loses its permits, and one that closes gives them back and ends', async () => {
  const settings = { url: await urlOf('postgres'), key: newKey(), limit: 3, ttl: 60_000 };
  const { budget } = await member('postgres', { key: settings.key });
  const pool = await poolOn(budget);
  // The first is to lose its lease, but not before it is terminated.
  const [a, b] = [new Owner({ ...settings, ttl: 8000 }), new Owner(settings)];
  await Promise.all([a.ready, b.ready]);
  await Promise.all([a.ask('borrow', 2), b.ask('borrow', 1)]);
  await Promise.all([out(a, 2), out(b, 1)]);
  const waiting = [pool.acquire(), pool.acquire(), pool.acquire()];
  const members = (await until(async () => {
    const all = await budget.members();
    return all.length === 3 && all.find(({ you }) => you)?.wanted === 3 ? all : false;
  })) as Awaited<ReturnType<typeof budget.members>>;
  expect(members.map(({ granted }) => granted).sort()).toEqual([0, 1, 2]);
  expect(members.filter(({ you }) => you)).toHaveLength(1);
  await a.worker.terminate();
  const first = await Promise.all(waiting.slice(0, 2));
  expect((await b.ask('members')).map(({ granted }: { granted: number }) => granted).sort()).toEqual([1, 2]);
  const ended = new Promise((resolve) => b.worker.once('exit', resolve));
  await b.ask('close');
  expect(await settled(ended)).toBe(0);
  const last = await waiting[2];
  expect(await budget.members()).toMatchObject([{ granted: 3, you: true }]);
  for (const thing of [...first, last]) pool.release(thing);
});
