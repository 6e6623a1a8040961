/** One damaged word each: what comes of it is what docs/proof-bad-input.md says, and the pool works on. */
import type { Pool } from 'cenote';
import { createPool } from 'cenote';
import { describe, expect, test } from 'vitest';
import * as layout from '../../dist/shared/layout.js';
import { ControlBlock } from '../../dist/shared/words/control-block.js';
import * as lines from '../../dist/shared/words/line.js';
import * as slots from '../../dist/shared/words/slot.js';
import * as states from '../../dist/shared/words/state.js';
import { expectWhole, open, record, workshop } from '../support/pools.ts';
import { Service, service } from '../support/service.ts';
import { thread } from '../support/thread.ts';
import { gate, outcome, rejection, settled, until } from '../support/wait.ts';

/** The control block of a pool, as somebody sees it who writes where nobody should. */
function tamper(pool: Pool<unknown>) {
  const block = ControlBlock.attach(pool.handle.buffer as SharedArrayBuffer);
  const { words, layout: at } = block;
  return {
    block,
    slot: (slot: number, change: (word: number) => number) => {
      words[block.slots.at(slot)] = change(words[block.slots.at(slot)]);
    },
    cell: (cell: number, change: (word: number) => number) => {
      words[at.cells + cell] = change(words[at.cells + cell]);
    },
    ticket: (cell: number, by: number) => {
      words[at.tickets + cell] += by;
    },
    word: (word: number, change: (value: number) => number) => {
      words[word] = change(words[word]);
    },
    status: (thread: number, value: number) => {
      words[at.threads + thread * layout.THREAD_STRIDE + layout.THREAD_STATUS] = value;
    },
  };
}

const withState = (state: number) => (word: number) => (word & ~0b111) | state;

describe('a damaged ticket', () => {
  test.each([
    ['ahead of the counter', 1_000],
    ['half the numbers away', -(2 ** 31)],
  ])('%s: served after everybody else, and nobody spins', async (_, by) => {
    const pool = await open({ ...workshop(), max: 1 });
    const first = await pool.acquire();
    const damaged = pool.acquire();
    const sound = pool.acquire();
    tamper(pool).ticket(0, by);
    const order: string[] = [];
    const ends = [damaged.then(() => order.push('damaged')), sound.then(() => order.push('sound'))];
    pool.release(first);
    pool.release(await settled(sound));
    pool.release(await settled(damaged));
    await Promise.all(ends);
    expect(order).toEqual(['sound', 'damaged']);
    await expectWhole(pool);
  });

  test('close sends its waiter away', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    await pool.acquire();
    const waiting = pool.acquire();
    tamper(pool).ticket(0, 1_000);
    void pool.close();
    expect(await rejection(waiting)).toMatchObject({ code: 'ERR_POOL_CLOSED' });
  });

  test('a factory that fails tells its waiter so, though not why', async () => {
    const pool = await open({ factory: () => Promise.reject(new Error('no luck')), max: 1 });
    const waiting = pool.acquire();
    tamper(pool).ticket(0, 1_000);
    expect(await rejection(waiting)).toMatchObject({ message: expect.stringContaining('the factory failed') });
  });

  test('the ticket counter set back: those in line keep their order', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const resource = await pool.acquire();
    const order: number[] = [];
    const waiting = [0, 1, 2].map(async (index) => {
      const got = await pool.acquire();
      order.push(index);
      pool.release(got);
    });
    tamper(pool).word(layout.TICKET_WORD, (word) => word - 50);
    pool.release(resource);
    await settled(Promise.all(waiting));
    expect(order).toEqual([0, 1, 2]);
  });
});

describe('LINE damaged', () => {
  test('a high water beyond the cells is not believed', async () => {
    const pool = await open({ ...workshop(), max: 1, maxWaiting: 1, maxThreads: 1 });
    const resource = await pool.acquire();
    const waiting = pool.acquire();
    tamper(pool).word(layout.LINE_WORD, (word) => word | 0x1fffe);
    expect(pool.waitingCount()).toBe(1);
    pool.release(resource);
    pool.release(await settled(waiting));
    await expectWhole(pool);
  });

  test('close finds those whom it hides', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    await pool.acquire();
    const waiting = pool.acquire();
    tamper(pool).word(layout.LINE_WORD, () => 0);
    void pool.close();
    expect(await rejection(waiting)).toMatchObject({ code: 'ERR_POOL_CLOSED' });
  });
});

describe('a damaged cell', () => {
  const refused = { name: 'PoolError', code: 'ERR_POOL', message: expect.stringContaining('damaged') };

  test.each([
    ['granted a slot that is not held', (word: number) => withState(lines.GRANTED)(word)],
    ['granted a slot that does not exist', (word: number) => withState(lines.GRANTED)(word) | (1000 << 13)],
    ['a state that does not exist', withState(6)],
    ['free', withState(lines.FREE)],
    ['failed for no reason', withState(lines.FAILED)],
    ['failed, as only a try can', (word: number) => withState(lines.FAILED)(word) | (lines.REASON_NOTHING << 13)],
    ['of another thread', (word: number) => word | (5 << 3)],
    ['of a thread that cannot be', (word: number) => word | (1023 << 3)],
  ])('%s: its waiter is refused, at its timeout if not before', async (_, change) => {
    const pool = await open({ ...workshop(), max: 2 });
    const held = [await pool.acquire(), await pool.acquire()];
    const waiting = pool.acquire({ timeout: 50 });
    tamper(pool).cell(0, change);
    expect(await rejection(waiting)).toMatchObject(refused);
    for (const resource of held) pool.release(resource);
    expect(await settled(pool.acquire())).toBeDefined();
  });

  test.each([['free, and used again by another waiter of the thread', withState(lines.FREE)]])(
    '%s: only one of them is served',
    async (_, change) => {
      const pool = await open({ ...workshop(), max: 1 });
      const held = await pool.acquire();
      const robbed = outcome(pool.acquire({ timeout: 1000 }));
      tamper(pool).cell(0, change);
      const robber = outcome(pool.acquire({ timeout: 1000 }));
      pool.release(held);
      const both = await Promise.all([robbed, robber]);
      expect(both.filter(({ value }) => value !== undefined)).toHaveLength(1);
      expect(both.find(({ error }) => error !== undefined)!.error).toMatchObject(refused);
      pool.release(both.find(({ value }) => value !== undefined)!.value!);
      await expectWhole(pool);
    },
  );

  test('of a thread that cannot be, granted: nobody else is harmed, and nothing is thrown', async () => {
    const pool = await open({ ...workshop(), max: 2, maxThreads: 1, maxWaiting: 1 });
    const held = [await pool.acquire(), await pool.acquire()];
    const before = new Int32Array(pool.handle.buffer as SharedArrayBuffer).length;
    const waiting = pool.acquire({ timeout: 100 });
    const { cell, block } = tamper(pool);
    cell(0, (word) => word | (1023 << 3));
    const bells = () => block.words.slice(block.layout.cells).reduce((sum, word) => sum + Math.abs(word), 0);
    pool.release(held[0]!);
    expect(await rejection(waiting)).toMatchObject(refused);
    expect(new Int32Array(pool.handle.buffer as SharedArrayBuffer).length).toBe(before);
    expect(bells()).toBeGreaterThan(0);
    pool.release(held[1]!);
    pool.release(await settled(pool.acquire()));
  });

  test('a waiter whose mark is damaged into that of a try is refused, not handed nothing', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    const waiting = pool.acquire();
    const { block, word } = tamper(pool);
    word(block.layout.marks, () => lines.MARK_TRIES);
    const second = pool.tryAcquire();
    const result = await outcome(waiting, 200).catch(() => undefined);
    if (result !== undefined) expect(result.error).toMatchObject(refused);
    pool.release(held);
    await settled(second);
  });

  test('granted to a thread with a slot number that does not exist, when the thread dies: the owner lives', async () => {
    const pool = await open({ ...workshop(), max: 1, maxThreads: 1, maxWaiting: 1 });
    const t = await thread(pool);
    const { cell } = tamper(pool);
    cell(0, () => (1000 << 13) | (1 << 3) | lines.GRANTED);
    await t.terminate();
    await until(() => pool.stats().threads === 0);
    await expectWhole(pool);
  });
});

describe('a damaged slot', () => {
  test('EMPTY that says IDLE: nothing is handed out, and the owner mends it', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 1 });
    const log = record(pool);
    tamper(pool).slot(0, withState(slots.IDLE));
    expect(await rejection(pool.acquire())).toMatchObject({ name: 'PoolError', message: expect.stringContaining('damaged') });
    await expectWhole(pool);
    expect(log.destroyed).toEqual([]);
  });

  test('EMPTY that says IDLE, borrowed by a worker: its calls are refused, and the owner mends it', async () => {
    const pool = await open({ factory: service(), max: 1 });
    const t = await thread(pool);
    tamper(pool).slot(0, withState(slots.IDLE));
    const { ok } = await t.run(({ pool, attempt }) => attempt(() => pool.use((each) => each.whoami())));
    expect(ok).toBe(false);
    await settled(t.run(({ pool }) => pool.deactivate()));
    pool.activate();
    expect(await settled(t.run(({ pool }) => pool.use((each) => each.whoami())))).toBe(1);
  });

  test('IDLE that says EMPTY: what is in it is destroyed, no more than max exist, and it is told', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 1, min: 1 });
    const log = record(pool);
    tamper(pool).slot(0, withState(slots.EMPTY));
    const resource = await settled(pool.acquire());
    expect(shop.most()).toBe(1);
    expect(shop.gone).toHaveLength(1);
    expect(resource.id).toBe(2);
    expect(log.errors).toMatchObject([{ name: 'PoolError', message: expect.stringContaining('damaged') }]);
  });

  test('the state that does not exist: mended at the next turn, and close ends', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, max: 2, min: 2 });
    record(pool);
    tamper(pool).slot(0, withState(7));
    await settled(pool.close());
    expect(shop.gone).toHaveLength(2);
  });

  describe.each([
    ['CREATING', slots.CREATING],
    ['CHECKING', slots.CHECKING],
  ])('%s, with nothing in hand', (_, state) => {
    test.each(['EMPTY', 'IDLE', 'LEASED'])('instead of %s: mended at the next turn', async (before) => {
      const shop = workshop();
      const pool = await open({ ...shop, max: 2, min: before === 'EMPTY' ? 0 : 1 });
      const log = record(pool);
      if (before === 'LEASED') await pool.acquire();
      tamper(pool).slot(0, withState(state));
      tamper(pool).block.bells.ring(0);
      await until(() => log.errors.length === 1);
      expect(shop.gone).toEqual(before === 'EMPTY' ? [] : [shop.made[0]]);
      await expectWhole(pool);
    });

    test('close ends', async () => {
      const shop = workshop();
      const pool = await open({ ...shop, max: 2, min: 2 });
      record(pool);
      tamper(pool).slot(0, withState(state));
      await settled(pool.close());
      expect(shop.gone).toHaveLength(2);
    });

    test('but not while it has: a check, a destructor and a factory are left to finish', async () => {
      const shop = workshop();
      const step = gate();
      const pool = await open({
        ...shop,
        max: 1,
        factory: () => step.promise.then(shop.factory),
        destructor: (thing) => step.promise.then(() => shop.destructor(thing)),
        beforeRelease: () => step.promise,
      });
      const log = record(pool);
      const waiting = pool.acquire();
      tamper(pool).slot(0, withState(state));
      tamper(pool).block.bells.ring(0);
      pool.activate();
      step.open();
      const thing = await settled(waiting);
      pool.release(thing);
      await until(() => pool.idleCount() === 1);
      expect([log.errors, shop.gone]).toEqual([[], []]);
    });
  });

  test('LEASED that says EMPTY, and the pool ends: a thread that sleeps for its answer is told', async () => {
    const made = new Service(1);
    const pool = await open({ factory: () => made, max: 1 });
    record(pool);
    const t = await thread(pool);
    const calling = t.run(({ pool, attempt }) => attempt(() => pool.useSync((each) => each.hang())));
    await until(() => made.running === 1);
    tamper(pool).slot(0, withState(slots.EMPTY));
    await settled(pool.close());
    expect((await settled(calling)).error).toMatchObject({ code: 'ERR_POOL_CLOSED' });
  });

  test('EMPTY that says RETURNED: no hook is asked about nothing', async () => {
    const asked: unknown[] = [];
    const pool = await open({ ...workshop(), max: 1, beforeRelease: (thing) => void asked.push(thing) });
    tamper(pool).slot(0, withState(slots.RETURNED));
    pool.deactivate();
    pool.activate();
    await expectWhole(pool);
    expect(asked).not.toContain(undefined);
  });

  test('CREATING that says EMPTY: the factory is not called twice for one place', async () => {
    let calls = 0;
    let finish = (): void => {};
    const pool = await open({
      max: 1,
      factory: () => {
        calls++;
        return new Promise<{ id: number }>((resolve) => {
          finish = () => resolve({ id: calls });
        });
      },
    });
    const waiting = pool.acquire();
    await until(() => calls === 1);
    tamper(pool).slot(0, withState(slots.EMPTY));
    const second = pool.acquire();
    expect(calls).toBe(1);
    finish();
    pool.release(await settled(waiting));
    pool.release(await settled(second));
  });
});

describe('the state word damaged', () => {
  test('a close that was cleared comes back', async () => {
    const pool = await open({ ...workshop(), max: 1 });
    const held = await pool.acquire();
    const closing = pool.close();
    tamper(pool).word(layout.STATE_WORD, () => 0);
    pool.release(held);
    await rejection(pool.acquire()).catch(() => {});
    await settled(closing);
    pool.deactivate();
    await until(() => pool.isClosed());
  });

  test('closed by nobody: that is a close like any other, for whoever waits for one, too', async () => {
    const shop = workshop();
    const pool = await open({ ...shop, min: 1, max: 2 });
    const log = record(pool);
    const held = await pool.acquire();
    const drained = pool.drain();
    tamper(pool).word(layout.STATE_WORD, (word) => word | states.CLOSED);
    pool.release(held);
    await settled(drained);
    await settled(pool.close());
    expect(log.closed).toBe(1);
    expect(shop.gone).toEqual(shop.made);
  });

  test('closed by nobody, and already at its end by when somebody closes it', async () => {
    const pool = await open({ ...workshop(), min: 1, max: 1 });
    const log = record(pool);
    tamper(pool).word(layout.STATE_WORD, (word) => word | states.CLOSED);
    tamper(pool).block.bells.ring(0);
    await until(() => log.closed === 1);
    await settled(pool.close());
    await settled(pool.drain());
  });

  test('INACTIVE without anybody being sent away, under hooks: the owner does not spin', async () => {
    let deactivate = (): void => {};
    const pool = await open({ ...workshop(), max: 1, min: 1, beforeAcquire: () => deactivate() });
    deactivate = () => tamper(pool).word(layout.STATE_WORD, (word) => word | states.INACTIVE);
    expect(await rejection(pool.acquire())).toMatchObject({ code: 'ERR_POOL_UNAVAILABLE' });
  });

  test('bits that mean nothing: slower, but served', async () => {
    const pool = await open({ ...workshop(), max: 2 });
    tamper(pool).word(layout.STATE_WORD, () => 1 << 20);
    await expectWhole(pool);
  });
});

test('a record that says it is free is not given to a second thread', async () => {
  const pool = await open({ factory: service(), max: 2 });
  const a = await thread(pool);
  await a.hold();
  tamper(pool).status(1, 0);
  const b = await thread(pool);
  await b.terminate();
  await until(() => pool.stats().threads <= 1);
  // What the first has is still its own.
  expect(await a.run(({ held }) => held[0]!.whoami())).toBe(1);
  await a.giveBack();
});

test('an odd fold word costs the statistics nothing for long', async () => {
  const pool = await open({ ...workshop(), max: 1 });
  tamper(pool).word(layout.FOLD_WORD, (word) => word | 1);
  pool.release(await pool.acquire());
  expect(pool.stats().acquired).toBe(1);
});

test('constants damaged after a pool was made: it goes by its own, and who comes is refused', async () => {
  const pool = await createPool({ ...workshop(), max: 1 });
  const { word } = tamper(pool);
  for (const [at, value] of [
    [layout.SLOTS_WORD, 1000],
    [layout.ACQUIRE_TIMEOUT_WORD, -5],
    [layout.SLOT_SIZE_WORD, 7],
    [layout.FEATURES_WORD, 64],
    [layout.MAX_WAITING_WORD, -1],
    [layout.CELLS_WORD, 0],
  ] as const) {
    const before = new Int32Array(pool.handle.buffer as SharedArrayBuffer)[at];
    word(at, () => value);
    expect(ControlBlock.open(pool.handle.buffer as SharedArrayBuffer), `word ${at}`).toMatchObject({ foreign: true });
    word(at, () => before);
  }
  await expectWhole(pool);
  await pool.close();
});
