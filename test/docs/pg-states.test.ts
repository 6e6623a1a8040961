/** docs/pg-states.md and the code say the same: tables and declared transitions are compared, and every function is called in every state. */

import { describe, expect, test } from 'vitest';
import { LEASE_STATES, LEASE_TRANSITIONS, LeaseState, type LeaseStateName } from '../../src/pg/borrower/lease-state.ts';
import { CUSTODY, CUSTODY_TRANSITIONS, Custody, type CustodyName, LAST_PROFILE } from '../../src/pg/messages/custody.ts';
import { SESSION_STATES, SESSION_TRANSITIONS, SessionState, type SessionStateName } from '../../src/pg/owner/session-state.ts';
import { until } from '../support/wait.ts';
import { page, plain, tableOf } from './markdown.ts';

const doc = page('docs/pg-states.md');

const rowsOf = (heading: string) =>
  tableOf(doc, heading).map((row) => ({ from: row.from, to: row.to, functions: plain(row.function).split(', '), row }));

const pairs = (rows: readonly { from: string; to: string }[]): string[] =>
  [...new Set(rows.map(({ from, to }) => `${from} -> ${to}`))].sort();
const declared = (transitions: Readonly<Record<string, readonly string[]>>): string[] =>
  pairs(Object.entries(transitions).flatMap(([from, tos]) => tos.map((to) => ({ from, to }))));

const error = new Error('why');

describe('session', () => {
  const rows = rowsOf('Session');
  /** Each call, by what it is called in the table. `begin` of a borrower that has left is a case of its own. */
  const calls: Record<string, (state: SessionState) => boolean> = {
    begin: (state) => state.begin('next'),
    'begin, left': (state) => {
      state.leave('gone');
      return state.begin('gone');
    },
    leave: (state) => state.leave('borrower'),
    undo: (state) => state.undo(),
    lose: (state) => state.lose(error),
    end: (state) => state.end(),
    takeBack: (state) => state.takeBack(error),
  };
  const into: Record<SessionStateName, (keyof typeof calls)[]> = {
    NEW: [],
    LENT: [],
    LEFT: ['leave'],
    UNDONE: ['undo'],
    LOST: ['lose'],
    TAKEN_BACK: ['takeBack'],
    ENDED: ['end'],
  };
  function stateIn(name: SessionStateName): SessionState {
    const state = new SessionState();
    if (name !== 'NEW') state.begin('borrower');
    for (const call of into[name]) calls[call](state);
    expect(state.name).toBe(name);
    return state;
  }

  test('page and code have the same transitions', () => expect(pairs(rows)).toEqual(declared(SESSION_TRANSITIONS)));

  test('page, code and this test have the same functions', () => {
    const named = [...new Set(rows.flatMap(({ functions }) => functions))].sort();
    expect(named).toEqual([...new Set(Object.keys(calls).map((call) => call.split(',')[0]))].sort());
    const readers = ['constructor', 'name', 'borrow', 'isNew', 'isOver', 'isEnded', 'takenBack', 'why', 'broken'];
    const others = ['isWith', 'isUndoneFor', 'hasLeft'];
    const methods = Object.getOwnPropertyNames(SessionState.prototype).filter((name) => !readers.includes(name) && !others.includes(name));
    expect(methods.sort()).toEqual(named);
  });

  const cases = SESSION_STATES.flatMap((from) => Object.keys(calls).map((call) => ({ from, call })));
  test.each(cases)('$call in $from', ({ from, call }) => {
    const state = stateIn(from);
    const isMade = calls[call](state);
    const [name] = call.split(',');
    const allowed = rows.filter((row) => row.from === from && row.functions.includes(name)).map(({ to }) => to);
    expect(isMade).toBe(allowed.length > 0);
    expect(isMade ? allowed : [from]).toContain(state.name);
    if (name === 'begin' && isMade) expect(state.name).toBe(call === 'begin' ? 'LENT' : 'LEFT');
    // What is of no use says why, and stays so.
    expect(state.why !== undefined).toBe(state.isOver);
    expect(state.takenBack !== undefined).toBe(state.name === 'TAKEN_BACK');
  });

  test('a borrower that has left before its turn has come has left when it comes', () => {
    const state = stateIn('LENT');
    expect(state.leave('next')).toBe(false);
    expect([state.name, state.isWith('borrower'), state.hasLeft('next')]).toEqual(['LENT', true, true]);
    state.begin('next');
    expect([state.name, state.isWith('next'), state.isWith('borrower')]).toEqual(['LEFT', false, false]);
  });

  test('only the borrower whose work was undone is refused', () => {
    const state = stateIn('UNDONE');
    expect([state.isUndoneFor('borrower'), state.isUndoneFor('next')]).toEqual([true, false]);
    state.begin('next');
    expect(state.isUndoneFor('next')).toBe(false);
  });
});

describe('lease', () => {
  const rows = rowsOf('Lease');
  const calls: Record<string, (state: LeaseState, isOpen: boolean) => boolean> = {
    lose: (state, isOpen) => state.lose(error, isOpen),
    giveBack: (state, isOpen) => state.giveBack(undefined, isOpen),
    'giveBack, destroyed': (state, isOpen) => state.giveBack(error, isOpen),
  };
  const into: Record<LeaseStateName, (keyof typeof calls)[]> = {
    HELD: [],
    BROKEN: ['lose'],
    BACK: ['giveBack'],
    GIVEN_UP: ['giveBack, destroyed'],
    GONE: ['lose', 'giveBack'],
  };
  function stateIn(name: LeaseStateName, isOpen = false): LeaseState {
    const state = new LeaseState();
    for (const call of into[name]) calls[call](state, isOpen);
    expect(state.name).toBe(name);
    return state;
  }

  test('page and code have the same transitions', () => expect(pairs(rows)).toEqual(declared(LEASE_TRANSITIONS)));

  test('page and this test have the same functions', () =>
    expect([...new Set(rows.flatMap(({ functions }) => functions))].sort()).toEqual(['giveBack', 'lose']));

  const cases = LEASE_STATES.flatMap((from) => Object.keys(calls).map((call) => ({ from, call })));
  test.each(cases)('$call in $from', ({ from, call }) => {
    const state = stateIn(from);
    const isMade = calls[call](state, false);
    const [name] = call.split(',');
    const allowed = rows.filter((row) => row.from === from && row.functions.includes(name)).map(({ to }) => to);
    expect(isMade).toBe(allowed.length > 0);
    expect(isMade ? allowed : [from]).toContain(state.name);
    expect(state.isOver).toBe(['BACK', 'GIVEN_UP', 'GONE'].includes(state.name));
    expect(state.isBroken).toBe(['BROKEN', 'GIVEN_UP', 'GONE'].includes(state.name));
    // Nothing was open.
    expect(state.untold).toBeUndefined();
  });

  test('what was open has gone with it, until its caller has been told', () => {
    for (const name of ['BROKEN', 'GIVEN_UP', 'GONE'] as const) {
      const state = stateIn(name, true);
      expect([state.untold, state.lost]).toEqual([error, error]);
      state.told();
      expect([state.untold, state.lost]).toEqual([undefined, error]);
    }
    expect(stateIn('BACK', true).untold).toBeUndefined();
  });

  test('what was under way when it was given up counts as well', () => {
    const state = stateIn('GIVEN_UP');
    state.opened();
    expect(state.untold).toBe(error);
  });
});

describe('custody', () => {
  const rows = rowsOf('Custody of the socket');
  const left = { status: 'T', dirt: 2, isUndone: true, asksReadOnly: true } as const;
  const calls: Record<string, (custody: Custody) => boolean> = {
    offer: (custody) => custody.offer(7),
    recall: (custody) => custody.recall(),
    receive: (custody) => custody.receive() !== undefined,
    // It says whether a borrower was at it, and is always made.
    seize: (custody) => custody.seize() || true,
    take: (custody) => custody.take(7, 3),
    accept: (custody) => custody.accept(7),
    park: (custody) => custody.park(7, 3),
    hand: (custody) => custody.hand(7, left),
  };
  const into: Record<CustodyName, (keyof typeof calls)[]> = {
    OWNERS: [],
    PARKED: ['offer', 'accept', 'park'],
    OFFERED: ['offer'],
    BORROWERS: ['offer', 'accept'],
    HANDED: ['offer', 'accept', 'hand'],
  };
  function custodyIn(name: CustodyName): Custody {
    const custody = new Custody();
    for (const call of into[name]) calls[call](custody);
    expect(custody.state).toBe(name);
    return custody;
  }

  test('page and code have the same transitions', () => expect(pairs(rows)).toEqual(declared(CUSTODY_TRANSITIONS)));

  test('page, code and this test have the same functions', () => {
    const named = [...new Set(rows.flatMap(({ functions }) => functions))].sort();
    expect(named).toEqual(Object.keys(calls).sort());
    const readers = ['constructor', 'buffer', 'state', 'attachment', 'parkedFor', 'pass', 'claim'];
    expect(
      Object.getOwnPropertyNames(Custody.prototype)
        .filter((name) => !readers.includes(name))
        .sort(),
    ).toEqual(named);
  });

  const cases = CUSTODY.flatMap((from) => Object.keys(calls).map((call) => ({ from, call })));
  test.each(cases)('$call in $from', ({ from, call }) => {
    const custody = custodyIn(from);
    const isMade = calls[call](custody);
    const allowed = rows.filter((row) => row.from === from && row.functions.includes(call)).map(({ to }) => to);
    expect(isMade).toBe(allowed.length > 0);
    expect(isMade ? allowed : [from]).toContain(custody.state);
  });

  test('a descriptor that was passed on is claimed once, by either end, and by the number of its sending', () => {
    const passing = rowsOf('A descriptor on its way');
    expect(passing.map(({ from, to, functions, row }) => [from, to, ...functions, row.thread])).toEqual([
      ['NONE', 'SENT', 'pass', 'owner'],
      ['SENT', 'NONE', 'claim', 'borrower'],
      ['SENT', 'NONE', 'claim', 'owner'],
    ]);
    const owner = new Custody();
    const thread = new Custody(owner.buffer);
    const first = owner.pass();
    expect([thread.claim(first), thread.claim(first), owner.claim(first)]).toEqual([true, false, false]);
    const second = owner.pass();
    expect([owner.claim(second), thread.claim(second)]).toEqual([true, false]);
    const third = owner.pass();
    expect([thread.claim(first), thread.claim(second), thread.claim(third)]).toEqual([false, false, true]);
  });

  test('what is parked in one profile is taken in no other, up to the last', () => {
    for (const profile of [0, 1, LAST_PROFILE]) {
      const custody = new Custody();
      for (const did of [custody.offer(7), custody.accept(7), custody.park(7, profile)]) expect(did).toBe(true);
      for (const other of [0, 1, LAST_PROFILE]) if (other !== profile) expect(custody.take(8, other)).toBe(false);
      expect([custody.state, custody.take(8, profile), custody.attachment]).toEqual(['PARKED', true, 8]);
    }
  });

  test('each thread sees how long ago it was parked, whichever thread has done it', async () => {
    const begun = performance.now();
    const custody = custodyIn('PARKED');
    const others = new Custody(custody.buffer);
    const { parkedFor } = others;
    expect(parkedFor).toBeGreaterThanOrEqual(0);
    expect(parkedFor).toBeLessThanOrEqual(performance.now() - begun + 1);
    await until(() => others.parkedFor > 20);
    const since = performance.now();
    expect([others.take(8, 3), others.park(8, 3)]).toEqual([true, true]);
    expect(custody.parkedFor).toBeLessThanOrEqual(performance.now() - since + 1);
  });

  test('another attachment neither accepts, nor parks, nor hands over', () => {
    expect(custodyIn('OFFERED').accept(8)).toBe(false);
    expect(custodyIn('BORROWERS').park(8, 3)).toBe(false);
    expect(custodyIn('BORROWERS').hand(8, left)).toBe(false);
  });

  test('the owner learns how the session was left, and by which attachment', () => {
    for (const status of ['I', 'T', 'E'] as const)
      for (const dirt of [0, 1, 2])
        for (const [isUndone, asksReadOnly] of [
          [false, true],
          [true, false],
        ] as const) {
          const custody = custodyIn('BORROWERS');
          expect([custody.attachment, custody.hand(7, { status, dirt, isUndone, asksReadOnly })]).toEqual([7, true]);
          expect(custody.attachment).toBe(7);
          expect(custody.receive()).toEqual({ status, dirt, isUndone, asksReadOnly });
        }
  });

  test('only a borrower that speaks leaves a session of which nothing is known', () => {
    expect(CUSTODY.filter((name) => custodyIn(name).seize())).toEqual(['BORROWERS']);
  });
});
