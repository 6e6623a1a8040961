/** The words of a control block, one at a time: what no race needs, and what the rest of the tests would only notice late. */
import { describe, expect, test } from 'vitest';
import {
  ABI_VERSION,
  ABI_WORD,
  COUNTER_ACQUIRED,
  COUNTER_CREATED,
  COUNTER_DESTROYED,
  COUNTER_RELEASED,
  EXTENT_WORD,
  FEATURES_WORD,
  FOLD_WORD,
  LIMIT_WORD,
  LINE_WORD,
  MIN_WORD,
  TICKET_WORD,
} from '../../dist/shared/layout.js';
import { Lending } from '../../dist/shared/lending/lending.js';
import { repair } from '../../dist/shared/lending/repair.js';
import { BellListener } from '../../dist/shared/waiting/bell-listener.js';
import { ControlBlock } from '../../dist/shared/words/control-block.js';
import { Counters } from '../../dist/shared/words/counters.js';
import { GRANTED, isLineEmpty, MARK_TRIES, NONE } from '../../dist/shared/words/line.js';
import * as slots from '../../dist/shared/words/slot.js';
import * as states from '../../dist/shared/words/state.js';

const OWNER = 0;
const A = 1;
const B = 2;
const SLOTS = 2;

const blockOf = (maxWaiting = 4) =>
  ControlBlock.create({ poolId: 1, min: 0, max: SLOTS, maxThreads: 3, maxWaiting, acquireTimeout: 0, maxUses: 0, features: 0 });

const lendingOf = (block: ControlBlock, me: number) => new Lending(block, me, { served() {}, called() {}, lookUp() {} });

/** IDLE. */
function stock(block: ControlBlock, slot = 0): void {
  block.slots.reserve(slot);
  block.slots.toIdle(slot);
}

describe('slots', () => {
  test('what one thread has taken no other puts back', () => {
    const block = blockOf();
    stock(block);
    block.slots.take(0, block.slots.load(0), A);
    expect(block.slots.putBack(0, B)).toBe(false);
    expect(block.slots.putBack(0, A)).toBe(true);
  });

  test('there are as many as there are', () => {
    const { slots } = blockOf();
    expect([0, SLOTS - 1, SLOTS].map((slot) => slots.has(slot))).toEqual([true, true, false]);
  });

  test('a new resource has never been used, and is not retired', () => {
    const block = blockOf();
    stock(block);
    lendingOf(block, A).tryBorrow();
    block.setRetired(0, true);
    expect(block.uses(0)).toBe(1);
    block.renew(0);
    expect([block.uses(0), block.isRetired(0)]).toEqual([0, false]);
  });
});

describe('line', () => {
  const join = (block: ControlBlock, me: number): number => {
    const cell = block.line.claim(me);
    block.line.enter(cell, 0, 0);
    return cell;
  };

  test('there is a cell for every waiter, one for each thread, and one for each place', () => {
    expect(blockOf(4).line.count).toBe(4 + 4 + SLOTS);
  });

  test('where tickets wrap, the oldest is still first', () => {
    const block = blockOf();
    block.words[TICKET_WORD] = 2 ** 31 - 1;
    const cells = [join(block, A), join(block, B), join(block, A)];
    const ages: number[] = [];
    block.line.scanOldest((cell, age) => {
      ages[cells.indexOf(cell)] = age;
    });
    expect(ages).toEqual([3, 2, 1]);
    expect([1, 2].map((count) => cells.filter((cell) => block.line.isAmongFirst(cell, count)))).toEqual([[cells[0]], cells.slice(0, 2)]);
    expect(lendingOf(block, A).matching.first()?.cell).toBe(cells[0]);
  });

  test('a damaged high water is not believed', () => {
    const block = blockOf();
    join(block, A);
    block.words[LINE_WORD] = (0xffff << 1) | 1;
    expect(block.line.waiting()).toBe(1);
    expect(block.line.trying()).toEqual([]);
  });

  test('a line that was emptied an epoch too late opens again, up to the last waiter', () => {
    for (const open of [(block: ControlBlock) => block.line.reopen(), (block: ControlBlock) => repair(lendingOf(block, OWNER), B)]) {
      const block = blockOf();
      const first = join(block, A);
      join(block, A);
      block.line.leave(first, A);
      block.words[LINE_WORD] = 0;
      expect(lendingOf(block, OWNER).matching.hasWaiters()).toBe(false);
      open(block);
      expect(lendingOf(block, OWNER).matching.hasWaiters()).toBe(true);
    }
  });

  test('a line of three is shorter than four, and not than three', () => {
    const block = blockOf();
    for (const me of [A, B, A]) join(block, me);
    expect([2, 3, 4].map((limit) => block.line.isShorterThan(limit))).toEqual([false, false, true]);
  });

  test('those who only try are found, and only those; and who is behind how many', () => {
    const block = blockOf();
    const stand = (mark: number): number => {
      const cell = block.line.claim(A);
      block.line.enter(cell, mark, 0);
      return cell;
    };
    const [patient, first, gone, second] = [stand(0), stand(MARK_TRIES), stand(MARK_TRIES), stand(MARK_TRIES)];
    block.line.leave(gone, A);
    expect(block.line.trying()).toEqual([first, second].map((cell) => ({ cell, word: block.line.load(cell) })));
    expect([patient, first, second].map((cell) => [0, 1, 2, 3].map((count) => block.line.isAmongFirst(cell, count)))).toEqual([
      [false, true, true, true],
      [false, false, true, true],
      [false, false, false, true],
    ]);
    // Its cell is now that of a waiter who only waits.
    block.line.leave(first, A);
    expect(stand(0)).toBe(first);
    expect(block.line.trying()).toEqual([{ cell: second, word: block.line.load(second) }]);
  });

  test('a waiter whose ticket is damaged is served all the same', () => {
    const block = blockOf();
    const cell = join(block, A);
    block.words[TICKET_WORD] -= 1000;
    stock(block);
    // Not `match`, which would never end.
    expect(lendingOf(block, B).matching.first()?.cell).toBe(cell);
  });
});

describe('lending', () => {
  test('whoever has left borrows nothing more', () => {
    const block = blockOf();
    stock(block);
    const lending = lendingOf(block, A);
    lending.detach();
    expect(lending.tryBorrow()).toBe(NONE);
  });

  test('whoever leaves last leaves an empty line', () => {
    const block = blockOf();
    const lending = lendingOf(block, A);
    expect(lending.leave(lending.join(0))).toBe(true);
    expect(isLineEmpty(block.words[LINE_WORD])).toBe(true);
  });

  test('what one waiter has been granted is not on offer to another', () => {
    const block = blockOf();
    stock(block);
    const lending = lendingOf(block, A);
    block.slots.reserve(1);
    block.slots.toTakenByOwner(1);
    const cell = lending.join(MARK_TRIES);
    block.slots.take(0, block.slots.load(0), B);
    block.line.grant(cell, block.line.load(cell), 0);
    block.line.grant(cell, block.line.load(cell), 0);
    expect(block.line.load(cell) & 7).toBe(GRANTED);
    expect(block.snapshot.isGranted(0)).toBe(true);
    expect(block.snapshot.isGranted(1)).toBe(false);
    // Slot 1 is TAKEN and not granted: something for one. Then that is granted, too.
    expect(block.snapshot.isSupplyExhausted(false)).toBe(false);
    const other = lending.join(0);
    block.line.grant(other, block.line.load(other), 1);
    expect(block.snapshot.isSupplyExhausted(false)).toBe(true);
  });

  test('somebody who only tries does not stand before another who tries', () => {
    const block = blockOf();
    stock(block);
    const lending = lendingOf(block, A);
    for (let slot = 0; slot < block.slots.count; slot++) lending.join(MARK_TRIES);
    expect([block.snapshot.isSupplyExhausted(true), block.snapshot.isSupplyExhausted(false)]).toEqual([true, false]);
    for (let slot = 0; slot < block.slots.count; slot++) lending.join(0);
    expect(block.snapshot.isSupplyExhausted(false)).toBe(true);
  });

  test('a slot picked up from the line keeps its flag', () => {
    const block = blockOf();
    stock(block);
    const lending = lendingOf(block, A);
    const cell = lending.join(0);
    lending.match();
    expect(lending.collect(cell)).toEqual({ kind: 'served', slot: 0 });
    expect(slots.isFlagged(block.slots.load(0))).toBe(true);
  });
});

describe('state', () => {
  test('a breaker that moves leaves the other bits', () => {
    const { state } = blockOf();
    state.set(states.DRAINING | states.RETURNS_GUARDED);
    state.moveBreaker(states.RECOVERING);
    expect(state.load()).toBe(states.DRAINING | states.RETURNS_GUARDED | states.RECOVERING);
  });

  test('who is refused, who is sent away, and what passes the owner', () => {
    const about = (word: number) =>
      [states.isRefusing, states.isEvicting, states.guardsHandOuts, states.guardsReturns].map((is) => is(word));
    expect(about(0)).toEqual([false, false, false, false]);
    expect(about(states.CLOSED)).toEqual([true, true, false, false]);
    expect(about(states.DRAINING)).toEqual([true, false, false, false]);
    expect(about(states.INACTIVE)).toEqual([true, true, false, false]);
    expect(about(states.RECOVERING)).toEqual([false, false, true, true]);
    expect(about(states.HAND_OUTS_GUARDED)).toEqual([false, false, true, false]);
    expect(about(states.RETURNS_GUARDED)).toEqual([false, false, false, true]);
  });
});

describe('threads and counters', () => {
  test('record 0 is the owner: it is given to nobody, and not counted', () => {
    const { threads } = blockOf();
    expect(threads.attach(7)).toBe(1);
    threads.occupy(0, 1);
    expect(threads.attached()).toBe(1);
  });

  test('whoever is gone has given everything back, and counts once', () => {
    const { counters } = blockOf();
    counters.add(A, COUNTER_ACQUIRED, 3);
    counters.add(A, COUNTER_RELEASED, 1);
    counters.fold(A);
    expect([COUNTER_ACQUIRED, COUNTER_RELEASED].map((counter) => counters.sums()[counter])).toEqual([3, 3]);
    counters.fold(A);
    expect(counters.sums()[COUNTER_ACQUIRED]).toBe(3);
  });

  test('a sum waits for a fold to end', () => {
    const { counters, words } = blockOf();
    const { load } = Atomics;
    let looks = 0;
    words[FOLD_WORD] = 1;
    // The fold ends at the fifth look.
    Atomics.load = ((array: Int32Array, index: number) => {
      if (index === FOLD_WORD && ++looks === 5) words[FOLD_WORD] = 2;
      return load(array, index);
    }) as never;
    try {
      counters.sums();
    } finally {
      Atomics.load = load;
    }
    expect(looks).toBe(5);
  });

  test('a sum into which a fold has come is taken again', () => {
    const { counters } = blockOf();
    counters.add(A, COUNTER_ACQUIRED, 3);
    const { add } = Atomics;
    let looks = 0;
    // Between the sum and its second look.
    Atomics.add = ((array: Int32Array, index: number, by: number) => {
      if (index === FOLD_WORD && by === 0 && ++looks === 1) {
        counters.fold(A);
        counters.add(B, COUNTER_ACQUIRED, 4);
      }
      return add(array, index, by);
    }) as never;
    try {
      expect(counters.sums()[COUNTER_ACQUIRED]).toBe(7);
    } finally {
      Atomics.add = add;
    }
    expect(looks).toBe(2);
  });
});

describe('bells', () => {
  test('who listens hears a ring', async () => {
    const { bells } = blockOf();
    const heard = new Promise<void>((resolve) => bells.listen(A, resolve));
    const keeps = setInterval(() => {}, 1000);
    bells.ring(A);
    await heard;
    clearInterval(keeps);
  });

  test('what rings while the bell listener answers is heard, too', async () => {
    const { bells } = blockOf();
    let heard = 0;
    await new Promise<void>((resolve) => {
      const answer = (): void => {
        if (++heard > 1) return;
        bells.ring(A);
        // Rung later, so heard later.
        bells.listen(B, resolve);
        bells.ring(B);
      };
      new BellListener(bells, A, () => true, answer).listen();
      bells.ring(A);
    });
    expect(heard).toBe(2);
  });

  test("a bell listener that has ended neither answers nor touches the bell, which is somebody else's by now", async () => {
    const { bells } = blockOf();
    const said: string[] = [];
    const listenerOf = (name: string, wanted: boolean) =>
      new BellListener(
        bells,
        A,
        () => said.push(`${name} is asked`) > 0 && wanted,
        () => said.push(`${name} hears`),
      );
    const last = listenerOf('the last', false);
    last.listen();
    last.end();
    listenerOf('the next', true).listen();
    const later = new Promise<void>((resolve) => bells.listen(B, resolve));
    bells.ring(B);
    await later;
    expect(said).toEqual([]);
  });

  test('a bell that there is none of is not rung', () => {
    const block = blockOf();
    const before = [...block.words];
    block.bells.ring(block.threads.count);
    expect([...block.words]).toEqual(before);
  });
});

describe('version', () => {
  const MINOR = 1;
  const MAJOR = 0x10000;
  const opened = (version: number, features = 0) => {
    const block = blockOf();
    block.words[ABI_WORD] = version;
    block.words[FEATURES_WORD] = features;
    return ControlBlock.open(block.buffer);
  };
  const ours = 'this copy of cenote reads version 2.1 (features 3, header of 224 words, slots of 32, threads of 64): use one version';

  test.each([
    [
      'a later major',
      ABI_VERSION + MAJOR,
      'its control block has version 3.1 (features 0, header of 224 words, slots of 32, threads of 64)',
    ],
    ['an earlier minor', ABI_VERSION - MINOR, 'its control block has version 2.0 '],
    ['one from before there were minors', 1, 'its control block has version 1, '],
    ['one that makes no sense', -1, 'its control block has version 65535.65535 '],
  ])('%s is refused, and both are named', (_, version, theirs) => {
    const refusal = opened(version) as { foreign: boolean; why: string };
    expect(refusal).toMatchObject({ foreign: false });
    expect(refusal.why).toContain(theirs);
    expect(refusal.why).toContain(ours);
  });

  test('a later minor is read, unless it needs something that we do not know', () => {
    expect(opened(ABI_VERSION + MINOR)).toBeInstanceOf(ControlBlock);
    expect(opened(ABI_VERSION + MINOR, 4)).toMatchObject({ foreign: false, why: expect.stringContaining('version 2.2 (features 4, ') });
  });
});

describe('limits', () => {
  const roomy = () =>
    ControlBlock.create({
      poolId: 1,
      min: 1,
      max: 2,
      ceiling: 8,
      maxThreads: 3,
      maxWaiting: 4,
      acquireTimeout: 0,
      maxUses: 0,
      features: 0,
    });

  test('there are slots up to the ceiling, and a search goes no further than max', () => {
    const block = roomy();
    expect([block.slots.count, block.slots.extent, block.limits.min, block.limits.max]).toEqual([8, 2, 1, 2]);
    expect(block.line.count).toBe(4 + 4 + 8);
    expect(ControlBlock.attach(block.buffer).limits.max).toBe(2);
  });

  test('more is seen at once, and less when what is above has gone', () => {
    const block = roomy();
    const other = ControlBlock.attach(block.buffer);
    block.limits.set(0, 5);
    expect(other.slots.extent).toBe(5);
    stock(block, 3);
    block.limits.set(0, 1);
    block.limits.impose();
    expect([other.limits.max, other.slots.extent]).toEqual([1, 4]);
    block.slots.check(3);
    block.slots.toEmpty(3);
    block.limits.impose();
    expect(other.slots.extent).toBe(1);
  });

  test('what is over max leaves no room, whatever is EMPTY', () => {
    const block = roomy();
    stock(block, 0);
    expect(block.snapshot.hasRoom()).toBe(true);
    stock(block, 1);
    expect(block.snapshot.hasRoom()).toBe(false);
    block.limits.set(0, 3);
    expect(block.snapshot.hasRoom()).toBe(true);
    block.limits.set(0, 1);
    expect(block.snapshot.hasRoom()).toBe(false);
  });

  test('damaged, they are not believed, and the owner puts them right', () => {
    const block = roomy();
    for (const damaged of [-1, 0, 1000]) {
      for (const word of [LIMIT_WORD, MIN_WORD, EXTENT_WORD]) block.words[word] = damaged;
      expect([block.slots.extent, block.slots.extentHint]).toEqual([8, 8]);
      block.limits.impose();
      expect([block.slots.extent, block.limits.min, block.limits.max]).toEqual([2, 1, 2]);
    }
  });
});

describe('tags', () => {
  const tagged = (tag: () => number) => {
    const block = blockOf();
    stock(block, 0);
    const lending = lendingOf(block, A);
    lending.tagWith(tag);
    return { block, lending };
  };

  test('a lease says what it is for, and no more once it is over', () => {
    let job = 7;
    const { block, lending } = tagged(() => job);
    lending.tryBorrow();
    expect(block.slots.tag(0)).toBe(7);
    job = 8;
    expect(block.slots.tag(0)).toBe(7);
    lending.giveBack(0);
    expect(block.slots.tag(0)).toBe(0);
    job = 0;
    lending.tryBorrow();
    expect(block.slots.tag(0)).toBe(0);
    lending.forget(0);
    lending.tagWith(undefined);
    expect(lending.tag).toBe(0);
  });

  test('what was waited for is for what waited, whatever runs when it comes', () => {
    let job = 7;
    const { block, lending } = tagged(() => job);
    const holder = lendingOf(block, B);
    expect(holder.tryBorrow()).toBe(0);
    const cell = lending.join(0);
    lending.match();
    expect(block.line.tag(cell)).toBe(7);
    job = 8;
    holder.giveBack(0);
    expect(lending.collect(cell)).toMatchObject({ kind: 'served', slot: 0 });
    expect(block.slots.tag(0)).toBe(7);
    // The next in this cell has none.
    lending.tagWith(undefined);
    const next = lending.join(0);
    expect([next, block.line.tag(next)]).toEqual([cell, 0]);
  });

  test('the tag of a thread that is gone goes with it', () => {
    const { block, lending } = tagged(() => 7);
    lending.tryBorrow();
    repair(lendingOf(block, OWNER), A);
    expect(block.slots.tag(0)).toBe(0);
  });
});

test('a reader of the counters never sees more released than acquired, or more destroyed than created, whenever threads count', () => {
  const { floats, words, counters } = blockWithCounters();
  // Between any two looks of the reader the thread makes, lends, takes back and destroys one more.
  const busy = new Proxy(floats, {
    get: (target, key) => {
      for (const counter of [COUNTER_CREATED, COUNTER_ACQUIRED, COUNTER_RELEASED, COUNTER_DESTROYED]) counters.add(A, counter);
      return Reflect.get(target, key);
    },
  });
  const sums = new Counters(words, busy, 0, 2).sums();
  expect(sums[COUNTER_RELEASED]).toBeGreaterThan(0);
  expect(sums[COUNTER_ACQUIRED]).toBeGreaterThanOrEqual(sums[COUNTER_RELEASED]);
  expect(sums[COUNTER_CREATED]).toBeGreaterThanOrEqual(sums[COUNTER_DESTROYED]);
});

function blockWithCounters() {
  const buffer = new SharedArrayBuffer(1 << 16);
  const words = new Int32Array(buffer);
  const floats = new Float64Array(buffer);
  return { words, floats, counters: new Counters(words, floats, 0, 2) };
}
