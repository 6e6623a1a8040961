/**
 * docs/state-machines.md and the code say the same: its tables are compared with the transitions that the code declares, and every
 * function named in them is driven on a real control block.
 */
import { Worker } from 'node:worker_threads';
import { createPool } from 'cenote';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Words } from '../../dist/budget/words.js';
import * as seats from '../../dist/jobs/seat.js';
import { CELLS_WORD, THREAD_BELL, THREAD_STRIDE } from '../../dist/shared/layout.js';
import { Lending } from '../../dist/shared/lending/lending.js';
import { repair } from '../../dist/shared/lending/repair.js';
import { Bells } from '../../dist/shared/words/bell.js';
import * as claims from '../../dist/shared/words/claim.js';
import { ControlBlock } from '../../dist/shared/words/control-block.js';
import * as lines from '../../dist/shared/words/line.js';
import * as slots from '../../dist/shared/words/slot.js';
import * as states from '../../dist/shared/words/state.js';
import { Threads } from '../../dist/shared/words/threads.js';
import { until } from '../support/wait.ts';
import { page, plain, root, tableOf } from './markdown.ts';

const doc = page('docs/state-machines.md');

interface Row {
  from: string;
  to: string;
  /** The owner takes its pool with it; everybody else can die and leave the rest at work. */
  isOwners: boolean;
  functions: string[];
}

const rowsOf = (heading: string): Row[] =>
  tableOf(doc, heading).map((row) => ({
    from: row.from,
    to: row.to,
    isOwners: row['who may'].startsWith('owner'),
    functions: plain(row.function).split(', '),
  }));

/** `from -> to` once each, sorted. */
const pairs = (rows: { from: string; to: string }[]): string[] => [...new Set(rows.map(({ from, to }) => `${from} -> ${to}`))].sort();
const declared = (transitions: Readonly<Record<string, readonly string[]>>): string[] =>
  pairs(Object.entries(transitions).flatMap(([from, tos]) => tos.map((to) => ({ from, to }))));

const methodsOf = (type: { prototype: object }): string[] =>
  Object.getOwnPropertyNames(type.prototype).filter((name) => name !== 'constructor');
const functionsOf = (rows: Row[]): string[] => [...new Set(rows.flatMap(({ functions }) => functions))].sort();

const blockOf = () =>
  ControlBlock.create({ poolId: 1, min: 0, max: 2, maxThreads: 3, maxWaiting: 4, acquireTimeout: 0, maxUses: 0, features: 0 });

const A = 1;
const B = 2;

/** What the owner does when the threads that did it have gone, and then serves the line. Gives the slots that they had borrowed. */
function bury(block: ControlBlock): number[] {
  const owner = new Lending(block, 0, { served() {}, called() {}, lookUp() {} });
  const borrowed = [A, B].flatMap((dead) => repair(owner, dead)).map(({ slot }) => slot);
  for (const slot of borrowed) block.slots.toIdle(slot);
  owner.match();
  for (let slot = 0; slot < block.slots.count; slot++) {
    const word = block.slots.load(slot);
    expect(['EMPTY', 'CREATING', 'IDLE', 'CHECKING', 'RETURNED']).toContain(slots.SLOT_STATES[slots.slotState(word)]);
  }
  for (let cell = 0; cell < block.line.count; cell++) expect(lines.cellState(block.line.load(cell)), 'cell').toBe(lines.FREE);
  expect(lines.isLineEmpty(block.line.loadLine())).toBe(true);
  return borrowed;
}

test('every table has a last column that says what a death leaves behind', () => {
  for (const heading of ['Slot', 'Cell', 'LINE', 'Bell', 'State word', 'Thread record', 'Claim', 'Seat', 'Permits'])
    for (const row of tableOf(doc, heading)) {
      expect(Object.keys(row)).toEqual(['from', 'to', 'who may', 'function', 'pairs with, wakes', 'if the thread dies right after']);
      expect(row['if the thread dies right after'], `${heading}: ${row.from} -> ${row.to}`).not.toBe('');
    }
});

describe('slot', () => {
  const rows = rowsOf('Slot');

  /** A slot that has been through everything once, and what its words were: what a late caller may still remember. */
  function slotIn(state: string) {
    const block = blockOf();
    const table = block.slots;
    const slot = 1;
    const word = () => table.load(slot);
    const seen = { idle: 0, lease: 0, taken: 0 };
    const idle = () => {
      table.reserve(slot);
      table.toIdle(slot);
      seen.idle = word();
    };
    const leased = () => {
      seen.lease = table.borrow(slot, slots.leasedTo(A));
    };
    // A round before, so that every remembered word is a real one.
    idle();
    leased();
    table.giveBack(slot, seen.lease, (seen.lease + slots.releaseDelta(A)) | 0);
    table.take(slot, word(), A);
    seen.taken = word();
    table.putBack(slot, A);
    const steps: Record<string, () => void> = {
      EMPTY: () => {
        table.check(slot);
        table.toEmpty(slot);
      },
      CREATING: () => {
        steps.EMPTY();
        table.reserve(slot);
      },
      IDLE: () => {
        seen.idle = word();
      },
      TAKEN: () => {
        table.take(slot, word(), A);
        seen.taken = word();
      },
      LEASED: leased,
      RETURNED: () => {
        leased();
        table.flag(slot);
        table.toReturned(slot, seen.lease);
      },
      CHECKING: () => {
        table.check(slot);
      },
    };
    steps[state]();
    expect(slots.SLOT_STATES[slots.slotState(word())]).toBe(state);
    return { block, table, slot, word, seen };
  }

  type Case = ReturnType<typeof slotIn>;
  /**
   * Each function with the arguments of a proper caller: B borrows and picks up, A is whoever had it before. True: it says that it did
   * it.
   */
  const calls: Record<string, (on: Case) => boolean> = {
    borrow: ({ table, slot }) => table.borrow(slot, slots.leasedTo(B)) !== 0,
    borrowAgain: ({ table, slot, seen }) => table.borrowAgain(slot, seen.idle, (seen.idle + slots.leaseDelta(B)) | 0),
    take: ({ table, slot, seen }) => table.take(slot, seen.idle, B),
    putBack: ({ table, slot }) => table.putBack(slot, A),
    pickUp: ({ table, slot }) => table.pickUp(slot, B) !== 0,
    giveBack: ({ table, slot, seen }) => table.giveBack(slot, seen.lease, (seen.lease + slots.releaseDelta(A)) | 0),
    giveBackFlagged: ({ table, slot, seen }) => table.giveBackFlagged(slot, seen.lease),
    toReturned: ({ table, slot, seen }) => table.toReturned(slot, seen.lease),
    reserve: ({ table, slot }) => table.reserve(slot),
    toIdle: ({ table, slot }) => table.toIdle(slot),
    toTakenByOwner: ({ table, slot }) => table.toTakenByOwner(slot),
    toEmpty: ({ table, slot }) => table.toEmpty(slot),
    check: ({ table, slot }) => table.check(slot),
    acceptReturn: ({ table, slot }) => table.acceptReturn(slot),
    seize: ({ table, slot, seen }) => table.seize(slot, seen.lease),
    revoke: ({ table, slot, seen }) => table.revoke(slot, seen.lease),
    untake: ({ table, slot, seen }) => table.untake(slot, seen.taken),
  };
  /** What the others are made of. */
  const PARTS = ['swap', 'ownerClaim', 'ownerRelease'];
  const NEEDS_FLAG = ['giveBackFlagged', 'toReturned'];
  const REFUSES_FLAG = ['giveBack'];

  test('page and code have the same transitions', () => expect(pairs(rows)).toEqual(declared(slots.SLOT_TRANSITIONS)));

  test('page, code and this test have the same functions', () => {
    const others = [
      ...PARTS,
      'has',
      'at',
      'load',
      'flag',
      'reclaimDamaged',
      'behalf',
      'actFor',
      'extent',
      'extentHint',
      'tag',
      'setTag',
      'unborrow',
    ];
    const moving = methodsOf(slots.Slots).filter((name) => !others.includes(name));
    expect(functionsOf(rows)).toEqual(moving.sort());
    expect(Object.keys(calls).sort()).toEqual(moving.sort());
  });

  const cases = Object.keys(calls).flatMap((name) => slots.SLOT_STATES.map((from) => ({ name, from })));
  test.each(cases)('$name in $from', ({ name, from }) => {
    const on = slotIn(from);
    if (NEEDS_FLAG.includes(name)) on.table.flag(on.slot);
    const before = on.word();
    const row = rows.find((each) => each.from === from && each.functions.includes(name));
    const did = calls[name](on);
    const after = on.word();
    expect(did, 'what it says').toBe(row !== undefined);
    if (row === undefined) {
      expect(after, 'the word').toBe(before);
      return;
    }
    expect(slots.SLOT_STATES[slots.slotState(after)]).toBe(row.to);
    const versions = row.to === 'IDLE' || row.to === 'EMPTY' ? 1 : 0;
    expect(slots.slotVersion(after) - slots.slotVersion(before), 'rounds').toBe(versions);
    if (row.to === 'TAKEN') expect(slots.isFlagged(after)).toBe(true);
    if (row.to === 'IDLE' || row.to === 'EMPTY') expect(slots.slotThread(after) + Number(slots.isFlagged(after))).toBe(0);
    // A second time finds something else.
    expect(calls[name](on), 'again').toBe(false);
  });

  test.each(rows.filter(({ isOwners }) => !isOwners))('death right after $functions from $from is repaired', ({ from, to, functions }) => {
    for (const name of functions) {
      const on = slotIn(from);
      if (NEEDS_FLAG.includes(name)) on.table.flag(on.slot);
      expect(calls[name](on)).toBe(true);
      // Whoever has it LEASED is a borrower whose resource `orphans` decides about; nobody else is.
      expect(bury(on.block)).toEqual(to === 'LEASED' ? [on.slot] : []);
    }
  });

  test('death between picking up and freeing the cell is repaired', () => {
    const { block, table, slot, word } = slotIn('IDLE');
    const { line } = block;
    const cell = line.claim(B);
    line.enter(cell, 0, 0);
    table.take(slot, word(), A);
    line.grant(cell, line.load(cell), slot);
    table.pickUp(slot, B);
    expect(bury(block)).toEqual([slot]);
  });

  test.each([...NEEDS_FLAG, ...REFUSES_FLAG])('%s looks at the flag', (name) => {
    const on = slotIn('LEASED');
    if (REFUSES_FLAG.includes(name)) on.table.flag(on.slot);
    const before = on.word();
    expect(calls[name](on)).toBe(false);
    expect(on.word()).toBe(before);
  });

  test.each(['seize', 'revoke'])('%s takes a flagged lease, too', (name) => {
    const on = slotIn('LEASED');
    on.table.flag(on.slot);
    expect(calls[name](on)).toBe(true);
  });

  test('after revoke the slot is for nothing in particular, and nothing that its borrower does with that lease moves it', () => {
    const on = slotIn('LEASED');
    on.table.setTag(on.slot, 7);
    expect(calls.revoke(on)).toBe(true);
    expect(on.table.tag(on.slot)).toBe(0);
    const word = on.word();
    for (const name of ['giveBack', 'giveBackFlagged', 'toReturned', 'seize', 'revoke']) expect(calls[name](on), name).toBe(false);
    expect(on.word()).toBe(word);
  });

  test.each(slots.SLOT_STATES)('flag in %s changes no state, and says what it found', (from) => {
    const on = slotIn(from);
    const before = on.word();
    const found = on.table.flag(on.slot);
    const isOut = from === 'LEASED' || from === 'TAKEN';
    expect(found).toBe(isOut ? slots.FLAGGED : from === 'IDLE' ? slots.FOUND_IDLE : slots.OWNERS);
    expect(on.word()).toBe(isOut ? before | slots.FLAG : before);
  });
});

describe('cell', () => {
  const rows = rowsOf('Cell');

  function cellIn(state: string) {
    const block = blockOf();
    const { line } = block;
    const other = line.claim(A);
    const cell = line.claim(A);
    line.enter(cell, 0, 0);
    const seen = { waiting: line.load(cell) };
    line.leave(cell, A);
    const steps: Record<string, () => void> = {
      FREE: () => {},
      JOINING: () => {
        line.claim(A);
      },
      WAITING: () => {
        steps.JOINING();
        line.enter(cell, 0, 0);
        seen.waiting = line.load(cell);
      },
      GRANTED: () => {
        steps.WAITING();
        line.grant(cell, seen.waiting, 1);
      },
      FAILED: () => {
        steps.WAITING();
        line.fail(cell, seen.waiting, lines.REASON_CLOSED);
      },
    };
    steps[state]();
    expect(lines.CELL_STATES[lines.cellState(line.load(cell))]).toBe(state);
    return { block, line, cell, other, seen, word: () => line.load(cell) };
  }

  type Case = ReturnType<typeof cellIn>;
  const calls: Record<string, (on: Case) => boolean> = {
    claim: ({ line, cell }) => line.claim(B) === cell,
    enter: ({ line, cell }) => {
      line.enter(cell, lines.MARK_TRIES, 7);
      return true;
    },
    grant: ({ line, cell, seen }) => line.grant(cell, seen.waiting, 1),
    fail: ({ line, cell, seen }) => line.fail(cell, seen.waiting, lines.REASON_CLOSED),
    exchange: ({ line, cell, other }) => {
      line.enter(other, lines.MARK_SYNC, 8, 9);
      line.grant(other, line.load(other), 1);
      return line.exchange(cell, other, A);
    },
    leave: ({ line, cell }) => line.leave(cell, A),
    free: ({ line, cell, word }) => line.free(cell, word()),
  };
  /** Their callers know the state already, and the functions do not ask. */
  const TRUSTING = ['enter', 'free'];

  test('page and code have the same transitions', () => expect(pairs(rows)).toEqual(declared(lines.CELL_TRANSITIONS)));

  test('page, code and this test have the same functions', () => {
    const looking = [
      'load',
      'ticket',
      'mark',
      'joinedAt',
      'reach',
      'tag',

      'loadLine',
      'scanOldest',
      'wordIfStillWaiting',
      'scan',
      'trying',
      'marked',
      'sleeping',
      'isAmongFirst',
      'waiting',
      'isShorterThan',
      'hasFewerStaying',
    ];
    const ofLine = ['empty', 'reopen'];
    const moving = methodsOf(lines.Line).filter((name) => !looking.includes(name) && !ofLine.includes(name));
    expect(functionsOf(rows)).toEqual(moving.sort());
    expect(Object.keys(calls).sort()).toEqual(moving.sort());
  });

  const cases = Object.keys(calls).flatMap((name) => lines.CELL_STATES.map((from) => ({ name, from })));
  test.each(cases)('$name in $from', ({ name, from }) => {
    const on = cellIn(from);
    const before = on.word();
    const row = rows.find((each) => each.from === from && each.functions.includes(name));
    if (row === undefined && TRUSTING.includes(name)) return;
    expect(calls[name](on), 'what it says').toBe(row !== undefined);
    const after = on.word();
    if (row === undefined) {
      expect(after, 'the word').toBe(before);
      return;
    }
    expect(lines.CELL_STATES[lines.cellState(after)]).toBe(row.to);
    expect(((after >>> 23) - (before >>> 23)) & 0x1ff, 'rounds').toBe(row.to === 'FREE' || name === 'exchange' ? 1 : 0);
    if (row.to === 'FREE') expect(lines.cellThread(after)).toBe(0);
    else expect(lines.cellThread(after)).toBe(name === 'claim' ? B : A);
    if (name === 'grant') expect(lines.cellSlot(after)).toBe(1);
    if (name === 'fail') expect(lines.cellReason(after)).toBe(lines.REASON_CLOSED);
    if (name === 'enter') expect([on.line.mark(on.cell), on.line.joinedAt(on.cell)]).toEqual([lines.MARK_TRIES, 7]);
    if (name === 'exchange')
      expect([on.line.mark(on.cell), on.line.joinedAt(on.cell), on.line.tag(on.cell)]).toEqual([lines.MARK_SYNC, 8, 9]);
  });

  test.each(rows.filter(({ isOwners }) => !isOwners))('death right after $functions from $from is repaired', ({ from, functions }) => {
    for (const name of functions) {
      const on = cellIn(from);
      const { slots: table } = on.block;
      table.reserve(1);
      table.toIdle(1);
      table.take(1, table.load(1), B);
      expect(calls[name](on)).toBe(true);
      expect(bury(on.block)).toEqual([]);
    }
  });

  test('claim takes every cell once, and then there is none', () => {
    const { line, words } = blockOf();
    for (let cell = 0; cell < words[CELLS_WORD]; cell++) expect(line.claim(cell % 4)).toBe(cell);
    expect(line.claim(A)).toBe(lines.NONE);
  });
});

describe('LINE', () => {
  const rows = rowsOf('LINE');
  const nameOf = (word: number): string => (lines.isLineEmpty(word) ? 'EMPTY' : 'OPEN');

  /** In both cases somebody has been there before. */
  function lineIn(state: string, waits: boolean) {
    const { line } = blockOf();
    const cell = line.claim(A);
    line.enter(cell, 0, 0);
    if (!waits) line.leave(cell, A);
    if (state === 'EMPTY') {
      line.leave(cell, A);
      line.empty(line.loadLine());
    }
    expect(nameOf(line.loadLine())).toBe(state);
    return line;
  }

  const calls: Record<string, (line: lines.Line) => void> = {
    enter: (line) => line.enter(line.claim(B), 0, 0),
    empty: (line) => expect(line.empty(line.loadLine())).toBe(true),
    reopen: (line) => line.reopen(),
  };

  test('the page names every function that moves it', () => expect(functionsOf(rows)).toEqual(Object.keys(calls).sort()));

  test.each(rows)('$functions: $from -> $to', ({ from, to, functions }) => {
    for (const name of functions) {
      const line = lineIn(from, false);
      const before = line.loadLine();
      calls[name](line);
      const after = line.loadLine();
      expect(nameOf(after)).toBe(to);
      expect(((after >>> 17) - (before >>> 17)) & 0x7fff, 'epochs').toBe(1);
    }
  });

  test('empty fails from a word that a joiner has changed', () => {
    const line = lineIn('OPEN', false);
    const before = line.loadLine();
    line.enter(line.claim(B), 0, 0);
    expect(line.empty(before)).toBe(false);
    expect(nameOf(line.loadLine())).toBe('OPEN');
  });

  test('empty looks once more, and reopens', () => {
    const line = lineIn('OPEN', true);
    expect(line.empty(line.loadLine())).toBe(false);
    expect(nameOf(line.loadLine())).toBe('OPEN');
    expect(line.waiting()).toBe(1);
  });
});

describe('bell', () => {
  const rows = rowsOf('Bell');
  const S = 1;
  const L = 2;
  const BITS: Record<string, number> = { DEAF: 0, SLEEPING: S, LISTENING: L, BOTH: S | L };
  const nameOf = (word: number): string => Object.keys(BITS).find((name) => BITS[name] === (word & 3))!;

  function bellIn(state: string) {
    const { bells, words, layout } = blockOf();
    const at = layout.threads + A * THREAD_STRIDE + THREAD_BELL;
    Atomics.or(words, at, BITS[state]);
    return { bells, words, at, base: layout.threads, state: () => nameOf(bells.read(A)) };
  }

  test('the page names every function that moves it', () =>
    expect(functionsOf(rows)).toEqual(
      methodsOf(Bells)
        .filter((name) => name !== 'read' && name !== 'at')
        .sort(),
    ));

  const direct: Record<string, (on: ReturnType<typeof bellIn>) => void> = {
    listen: ({ bells }) => bells.listen(A, () => {}),
    stopListening: ({ bells }) => bells.stopListening(A),
    reset: ({ bells }) => bells.reset(A),
    ring: ({ bells, words, at }) => {
      const before = Atomics.load(words, at);
      bells.ring(A);
      expect(Atomics.load(words, at) - before).toBe(4);
    },
  };

  test.each(rows.filter(({ functions }) => !functions.includes('sleep')))('$functions: $from -> $to', ({ from, to, functions }) => {
    for (const name of functions) {
      const on = bellIn(from);
      direct[name](on);
      expect(on.state()).toBe(to);
    }
  });

  test.each(['DEAF', 'LISTENING'])('sleep: %s and back, woken by a ring', async (from) => {
    const down = rows.find((row) => row.from === from && row.functions.includes('sleep'))!;
    const up = rows.find((row) => row.from === down.to && row.functions.includes('sleep'))!;
    expect(up.to).toBe(from);
    const on = bellIn(from);
    const sleeper = new Worker(
      `const { workerData: { url, words, base, me } } = require('node:worker_threads');
       import(url).then(({ Bells }) => { const bells = new Bells(words, base); bells.sleep(me, bells.read(me), 10_000); });`,
      { eval: true, workerData: { url: `file://${root}dist/shared/words/bell.js`, words: on.words, base: on.base, me: A } },
    );
    onTestFinished(async () => void (await sleeper.terminate()));
    const exited = new Promise((resolve) => sleeper.on('exit', resolve));
    await until(() => on.state() === down.to);
    on.bells.ring(A);
    expect(await exited).toBe(0);
    expect(on.state()).toBe(up.to);
  });

  test('a ring after the look keeps the sleep from beginning', () => {
    const { bells, state } = bellIn('DEAF');
    const seen = bells.read(A);
    bells.ring(A);
    bells.sleep(A, seen, 10_000);
    expect(state()).toBe('DEAF');
  });

  test('who listens hears a ring', async () => {
    const { bells } = bellIn('DEAF');
    const heard = new Promise<string>((resolve) => bells.listen(A, () => resolve('heard')));
    bells.ring(A);
    expect(await heard).toBe('heard');
  });
});

describe('state word', () => {
  const rows = rowsOf('State word');
  const BREAKER: Record<string, states.Breaker> = { ACTIVE: states.ACTIVE, INACTIVE: states.INACTIVE, RECOVERING: states.RECOVERING };

  test('the page has every move between two states of the breaker', () => {
    const names = Object.keys(BREAKER);
    expect(pairs(rows)).toEqual(pairs(names.flatMap((from) => names.filter((to) => to !== from).map((to) => ({ from, to })))));
  });

  test.each(rows)('$functions: $from -> $to', async ({ from, to, functions }) => {
    const word = blockOf().state;
    word.set(states.RETURNS_GUARDED);
    word.moveBreaker(BREAKER[from]);
    expect(word.moveBreaker(BREAKER[to]), 'the state before').toBe(BREAKER[from]);
    expect(word.load()).toBe(states.RETURNS_GUARDED | BREAKER[to]);

    const pool = await createPool({ factory: () => 1 });
    const by: Record<string, () => void> = {
      activate: () => pool.activate(),
      deactivate: () => pool.deactivate(),
      recover: () => pool.recover(),
    };
    const move = (state: string) => by[rows.find((row) => row.to === state)!.functions[0]]();
    move(from);
    const told: string[] = [];
    pool.on('state', (next, previous) => told.push(`${previous} -> ${next}`));
    for (const name of functions) by[name]();
    expect(told).toEqual([`${from} -> ${to}`.toLowerCase()]);
    expect(pool.getState()).toBe(to.toLowerCase());
    await pool.close();
  });

  test('the page has every other bit', () => {
    const section = doc.text.slice(doc.text.indexOf('The other bits:'));
    const bits = [...section.split('## ')[0].matchAll(/^\| `([A-Z_]+)`/gm)].map((match) => match[1]);
    const exported = Object.entries(states)
      .filter(([name, value]) => typeof value === 'number' && !(name in BREAKER))
      .map(([name]) => name);
    expect(bits.sort()).toEqual(exported.sort());
    const word = blockOf().state;
    for (const bit of bits) {
      word.set((states as unknown as Record<string, number>)[bit]);
      expect(word.load()).toBe((states as unknown as Record<string, number>)[bit]);
      word.clear(word.load());
    }
    expect(word.load()).toBe(0);
  });
});

describe('waiters behind a place', () => {
  test('the page names the function that sets it, and the repair undoes it', () => {
    expect(functionsOf(rowsOf('Waiters behind a place'))).toEqual(['setBehind']);
    const block = blockOf();
    const { threads } = block;
    expect(threads.attach(77)).toBe(1);
    threads.setBehind(1, 5);
    expect([threads.behind(), block.waiting()]).toEqual([5, 5]);
    threads.detach(1);
    expect([threads.behind(), block.waiting()]).toEqual([0, 0]);
  });
});

describe('thread record', () => {
  const rows = rowsOf('Thread record');

  test('the page names every function that moves it', () =>
    expect(functionsOf(rows)).toEqual(
      methodsOf(Threads)
        .filter((name) => !['isAttached', 'threadId', 'attached', 'behind', 'behindOf', 'setBehind'].includes(name))
        .sort(),
    ));

  const calls: Record<string, (threads: Threads) => void> = {
    attach: (threads) => expect(threads.attach(77)).toBe(1),
    occupy: (threads) => threads.occupy(1, 77),
    detach: (threads) => threads.detach(1),
  };

  test.each(rows)('$functions: $from -> $to', ({ from, to, functions }) => {
    for (const name of functions) {
      const { threads } = blockOf();
      if (from === 'ATTACHED') threads.attach(77);
      expect(threads.isAttached(1)).toBe(from === 'ATTACHED');
      calls[name](threads);
      expect(threads.isAttached(1)).toBe(to === 'ATTACHED');
      if (to === 'ATTACHED') expect([threads.threadId(1), threads.attached()]).toEqual([77, 1]);
    }
  });

  test('admits as many as there are records', () => {
    const { threads } = blockOf();
    expect([1, 2, 3, 4].map((id) => threads.attach(id))).toEqual([1, 2, 3, lines.NONE]);
  });
});

describe('claim', () => {
  const rows = rowsOf('Claim');
  const calls: Record<string, (claim: claims.Claim) => boolean> = {
    begin: (claim) => claim.begin(),
    withdraw: (claim) => claim.withdraw(),
  };
  const nameOf = ({ buffer }: claims.Claim): string => claims.CLAIM_STATES[new Int32Array(buffer)[0]];

  test('page and code have the same transitions', () => expect(pairs(rows)).toEqual(declared(claims.CLAIM_TRANSITIONS)));

  test('page, code and this test have the same functions', () => {
    const moving = methodsOf(claims.Claim).filter((name) => name !== 'isWithdrawn');
    expect(functionsOf(rows)).toEqual(moving.sort());
    expect(Object.keys(calls).sort()).toEqual(moving.sort());
  });

  const cases = Object.keys(calls).flatMap((name) => claims.CLAIM_STATES.map((from) => ({ name, from })));
  test.each(cases)('$name in $from', ({ name, from }) => {
    const claim = new claims.Claim();
    new Int32Array(claim.buffer)[0] = claims.CLAIM_STATES.indexOf(from);
    const row = rows.find((each) => each.from === from && each.functions.includes(name));
    // Through the other end, as it comes with a call.
    expect(calls[name](claims.Claim.open(claim.buffer)!), 'what it says').toBe(row !== undefined);
    expect(nameOf(claim)).toBe(row?.to ?? from);
    expect(claim.isWithdrawn).toBe(nameOf(claim) === 'WITHDRAWN');
  });
});

describe('permits', () => {
  const rows = rowsOf('Permits');
  /** With three permits, all of them noted. */
  function wordsIn(state: string): Words {
    const words = new Words();
    words.raise(3);
    words.used = 2;
    if (state === 'LOST') words.lose();
    return words;
  }
  const calls: Record<string, (words: Words) => void> = {
    raise: (words) => words.raise(2),
    lower: (words) => expect(words.lower(1)).toBe(true),
    lose: (words) => words.lose(),
    takeOver: (words) => expect(words.takeOver()).toBe(true),
    regain: (words) => words.regain(),
  };
  /** What is allowed afterwards, of three or of none. */
  const allowed: Record<string, [held: number, lost: number]> = {
    raise: [5, 2],
    lower: [1, 0],
    lose: [0, 0],
    takeOver: [3, 0],
    regain: [3, 0],
  };

  test('page, code and this test have the same functions', () => {
    const looking = ['kept', 'beat', 'ask', 'nextSeq'];
    const all = Object.entries(Object.getOwnPropertyDescriptors(Words.prototype));
    const methods = all.filter(([name, { value }]) => typeof value === 'function' && name !== 'constructor').map(([name]) => name);
    const moving = methods.filter((name) => !looking.includes(name)).sort();
    expect(functionsOf(rows)).toEqual(moving);
    expect(Object.keys(calls).sort()).toEqual(moving);
  });

  test.each(rows)('$functions: $from -> $to', ({ from, to, functions }) => {
    for (const name of functions) {
      const words = wordsIn(from);
      calls[name](words);
      expect(words.isLost ? 'LOST' : 'HELD').toBe(to);
      expect(words.allowed).toBe(allowed[name][from === 'HELD' ? 0 : 1]);
    }
  });

  test('nothing is lowered that is less already, and nothing taken over that was not lost', () => {
    const words = wordsIn('HELD');
    expect([words.lower(3), words.takeOver(), words.allowed]).toEqual([false, false, 3]);
  });

  test('what is kept: after a loss what exists, and only by a member that joins again', () => {
    const [held, lost] = [wordsIn('HELD'), wordsIn('LOST')];
    expect([held.kept(false), held.kept(true), lost.kept(false), lost.kept(true)]).toEqual([3, 3, 0, 2]);
  });

  test('reports have rising numbers, and what asks and beats is counted', () => {
    const words = new Words();
    const [first, second] = [words.nextSeq(), words.nextSeq()];
    words.ask();
    words.beat();
    expect([second > first, words.asked, words.heart]).toEqual([true, 1, 1]);
  });
});

describe('seat', () => {
  const rows = rowsOf('Seat');
  const states = [...seats.CANCEL_STATES, ...seats.REPORTS_STATES];

  function seatIn(state: string) {
    const buffer = new SharedArrayBuffer(2 * seats.SEAT_BYTES);
    // The second of two: what it does stays in its own lines.
    const seat = new seats.Seat(buffer, 1);
    const words = new Int32Array(buffer, seats.SEAT_BYTES);
    if (state === 'CANCELLED') seat.cancel();
    if (state === 'WRITING') seat.beginReport();
    const isOfCancel = (seats.CANCEL_STATES as readonly string[]).includes(state);
    const name = (): string =>
      isOfCancel ? seats.CANCEL_STATES[words[seats.CANCEL_WORD]] : seats.REPORTS_STATES[Number(seats.isWriting(words[seats.REPORTS_WORD]))];
    expect(name()).toBe(state);
    return { seat, words, name, rest: () => new Int32Array(buffer, 0, seats.SEAT_BYTES / 4) };
  }

  type Case = ReturnType<typeof seatIn>;
  const calls: Record<string, (on: Case) => void> = {
    cancel: ({ seat }) => seat.cancel(),
    reset: ({ seat }) => seat.reset(),
    beginReport: ({ seat }) => void seat.beginReport(),
    endReport: ({ seat, words }) => seat.endReport(words[seats.REPORTS_WORD]),
  };

  test('page and code have the same transitions', () =>
    expect(pairs(rows)).toEqual(declared({ ...seats.CANCEL_TRANSITIONS, ...seats.REPORTS_TRANSITIONS })));

  test('page and code have the same words', () =>
    expect(tableOf(doc, 'Words of a seat').map((row) => plain(row.word))).toEqual([
      `CANCEL_WORD ${seats.CANCEL_WORD}`,
      `REPORTS_WORD ${seats.REPORTS_WORD}`,
    ]));

  test('page, code and this test have the same functions', () => {
    const moving = methodsOf(seats.Seat).filter((name) => !['reportAfter', 'isCancelled', 'glance', 'report'].includes(name));
    expect(functionsOf(rows)).toEqual(moving.sort());
    expect(Object.keys(calls).sort()).toEqual(moving.sort());
  });

  test.each(rows.flatMap((row) => row.functions.map((name) => ({ ...row, name }))))('$name: $from -> $to', ({ name, from, to }) => {
    const on = seatIn(from);
    calls[name](on);
    expect(on.name()).toBe(to);
    expect(on.rest().every((word) => word === 0)).toBe(true);
  });

  test.each(states)('in %s it can be read', (state) => {
    const { seat } = seatIn(state);
    expect(seat.isCancelled).toBe(state === 'CANCELLED');
    expect(seat.glance()).toBe(state === 'CANCELLED');
    expect(seat.reportAfter(0)).toBe(undefined);
  });

  test('a report is read once, as it was written, and not while another one is written', () => {
    const { seat } = seatIn('QUIET');
    seat.report(3, Number.NaN);
    expect(seat.reportAfter(0)).toEqual({ report: 2, done: 3, total: undefined });
    expect(seat.reportAfter(2)).toBe(undefined);
    seat.report(4.5, 9);
    expect(seat.reportAfter(2)).toEqual({ report: 4, done: 4.5, total: 9 });
    seat.beginReport();
    expect(seat.reportAfter(2)).toBe(undefined);
    seat.reset();
    expect(seat.reportAfter(0)).toBe(undefined);
  });
});
