/**
 * What does a borrow cost on the owner's thread, where pools for one thread need no atomics at all?
 *
 * Every pool has MAX resources made beforehand, the same limit, and no validation. What each does for an acquire beyond that cannot be switched off:
 *  - cenote: compare-exchange on shared memory, so that any thread may compete; counts, and times every 32nd hold.
 *  - generic-pool: a deferred with a request object, through a priority queue; looks up the resource in a map. release gives a promise, not awaited here.
 *  - tarn: arms a timer for its acquire timeout (30 s unless told otherwise, never off) and clears it, through six promises.
 *  - lightning-pool: a request object and a linked list; promises wrap callbacks; emits events. Its timeout is off.
 *  - async-sema: hands out tokens from a deque; checks nothing on release, which is an event. A semaphore, not a pool.
 *  - array and await: pops, awaits, pushes. It neither waits nor checks: what any pool adds is the difference to this.
 */
import { Sema } from 'async-sema';
import { createPool } from 'cenote';
import genericPool from 'generic-pool';
import { Pool as LightningPool } from 'lightning-pool';
import { Pool as TarnPool } from 'tarn';
import { timesAsFast } from '../frame/goals.ts';
import type { Question, Row } from '../frame/question.ts';
import { BATCH, compare, measure } from '../frame/rounds.ts';

const MAX = 10;

interface Resource {
  readonly id: number;
}

export const owner: Question = {
  name: 'owner',
  asks: "await acquire() + release on the owner, against pools for one thread's use",
  async run(effort): Promise<Row[]> {
    let made = 0;
    const create = (): Resource => ({ id: made++ });
    const createLater = async (): Promise<Resource> => create();
    const destroy = async (): Promise<void> => {};

    const cenote = await createPool({ factory: create, min: MAX, max: MAX });
    const generic = genericPool.createPool({ create: createLater, destroy }, { min: MAX, max: MAX });
    await generic.ready();
    const tarn = new TarnPool<Resource>({ create, destroy, min: MAX, max: MAX });
    await fill(
      () => tarn.acquire().promise,
      (resource) => tarn.release(resource),
    );
    const lightning = new LightningPool<Resource>({ create, destroy }, { min: MAX, max: MAX, validation: false });
    await fill(
      () => lightning.acquire(),
      (resource) => lightning.release(resource),
    );
    const sema = new Sema(MAX, { initFn: create });
    const idle = Array.from({ length: MAX }, create);
    const words = new Int32Array(new SharedArrayBuffer(4));

    const figures = await measure(
      {
        cenote: {
          async: true,
          async run() {
            for (let i = 0; i < BATCH; i++) cenote.release(await cenote.acquire());
          },
        },
        'generic-pool': {
          async: true,
          async run() {
            for (let i = 0; i < BATCH; i++) void generic.release(await generic.acquire());
          },
        },
        tarn: {
          async: true,
          async run() {
            for (let i = 0; i < BATCH; i++) tarn.release(await tarn.acquire().promise);
          },
        },
        'lightning-pool': {
          async: true,
          async run() {
            for (let i = 0; i < BATCH; i++) lightning.release(await lightning.acquire());
          },
        },
        'async-sema': {
          async: true,
          async run() {
            for (let i = 0; i < BATCH; i++) sema.release(await sema.acquire());
          },
        },
        // What a pool that several threads can borrow from cannot do without: one compare-exchange to take, one to give back.
        'pair, array and await': {
          async: true,
          async run() {
            for (let i = 0; i < BATCH; i++) {
              if (Atomics.compareExchange(words, 0, 0, 1) !== 0) throw new Error('taken');
              idle.push(await Promise.resolve(idle.pop()!));
              if (Atomics.compareExchange(words, 0, 1, 0) !== 1) throw new Error('not taken');
            }
          },
        },
        'array and await': {
          async: true,
          async run() {
            for (let i = 0; i < BATCH; i++) idle.push(await Promise.resolve(idle.pop()!));
          },
        },
      },
      effort,
    );
    await Promise.all([cenote.close(), generic.drain().then(() => generic.clear()), tarn.destroy(), lightning.closeAsync(true)]);
    return compare('owner: await acquire + release', 'ns', figures, {
      'generic-pool': timesAsFast(8),
      'lightning-pool': timesAsFast(8),
      tarn: timesAsFast(14),
    });
  },
};

/** Has a pool that makes things on demand make all of them. */
async function fill(acquire: () => Promise<Resource>, release: (resource: Resource) => unknown): Promise<void> {
  const all = await Promise.all(Array.from({ length: MAX }, acquire));
  all.forEach(release);
}
