/** The waiters of one thread: what the words do not show. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { Lending } from '../../dist/shared/lending/lending.js';
import { KeepAlive } from '../../dist/shared/waiting/keep-alive.js';
import { Waiters } from '../../dist/shared/waiting/waiters.js';
import { ControlBlock } from '../../dist/shared/words/control-block.js';
import { MARK_SYNC, MARK_TRIES, NONE, REASON_CLOSED, REASON_FACTORY, REASON_SUSPENDED } from '../../dist/shared/words/line.js';
import { rejection } from '../support/wait.ts';

/** How often it holds and lets go. */
class Counted extends KeepAlive {
  pending = 0;
  override ref(): void {
    this.pending++;
  }
  override unref(): void {
    this.pending--;
  }
}

const A = 1;

const blockOf = (): ControlBlock =>
  ControlBlock.create({
    poolId: 1,
    min: 0,
    max: 1,
    maxThreads: 1,
    maxWaiting: 8,
    acquireTimeout: 0,
    maxUses: 0,
    features: 0,
  });

/** A thread that learns, as it fetches the error for one of its waiters, that it is over for all of them. */
function setUp() {
  const block = blockOf();
  const lending = new Lending(block, A, { served() {}, called() {}, lookUp() {} });
  const keepAlive = new Counted();
  const waiters: Waiters = new Waiters(lending, keepAlive, {
    refusal: (reason) => {
      if (reason === REASON_FACTORY) waiters.abandon(() => 'over');
      return reason;
    },
    timedOut: () => new Error('timed out'),
    knot: () => undefined,
  });
  const wait = (): [number, Promise<unknown>] => {
    const cell = lending.join(0);
    return [cell, rejection(waiters.wait(cell, 0, undefined, (slot) => slot, false))];
  };
  const fail = (cell: number, reason: number) => block.line.fail(cell, block.line.load(cell), reason);
  return { block, lending, keepAlive, waiters, wait, fail };
}

test('a waiter that leaves after the factory has failed for it takes the error with it', async () => {
  const block = blockOf();
  const asked: number[] = [];
  const lending: Lending = new Lending(block, A, { served() {}, called() {}, lookUp() {} });
  const waiters = new Waiters(lending, new KeepAlive(), {
    refusal: (reason, cell, ticket) => {
      asked.push(reason, cell, ticket);
      return reason;
    },
    timedOut: () => new Error('timed out'),
    knot: () => undefined,
  });
  const [one, two] = [new AbortController(), new AbortController()];
  const cells = [one, two].map(({ signal }) => {
    const cell = lending.join(0);
    return [cell, rejection(waiters.wait(cell, 0, signal, (slot) => slot, false))] as const;
  });
  const [[failed, first], [, second]] = cells;
  const ticket = block.line.ticket(failed);
  block.line.fail(failed, block.line.load(failed), REASON_FACTORY);
  one.abort('enough');
  two.abort('enough, too');
  expect([await first, await second]).toEqual(['enough', 'enough, too']);
  expect(asked).toEqual([REASON_FACTORY, failed, ticket]);
});

test('a sleeper and another waiter of its thread change places with all that is said of them', () => {
  const block = blockOf();
  const { line, slots } = block;
  const [EARLY, LATE, JOB, OTHER_JOB] = [1000, 2000, 7, 9];
  let tag = OTHER_JOB;
  const lending = new Lending(block, A, { served() {}, called() {}, lookUp() {} });
  lending.tagWith(() => tag);
  const waiters = new Waiters(lending, new KeepAlive(), {
    refusal: (reason) => reason,
    timedOut: () => new Error('timed out'),
    knot: () => undefined,
  });
  const place = (mark: number, since: number, tag: number): number => {
    const cell = line.claim(A);
    line.enter(cell, mark, since, tag);
    return cell;
  };
  void waiters.wait(place(0, EARLY, JOB), 0, undefined, (slot) => slot, false);
  slots.reserve(0);
  slots.toIdle(0);
  lending.match();
  const cell = place(MARK_SYNC, LATE, OTHER_JOB);
  const [seen] = line.sleeping();
  expect(seen.cell).toBe(cell);
  expect(waiters.exchange(cell)).toBe(0);
  tag = 0;
  expect(slots.tag(0)).toBe(OTHER_JOB);
  expect([line.mark(cell), line.joinedAt(cell), line.tag(cell)]).toEqual([0, EARLY, JOB]);
  expect(line.sleeping()).toEqual([]);
  // What was seen of the sleeper is not done to the other.
  expect(line.fail(seen.cell, seen.word, REASON_SUSPENDED)).toBe(false);
  lending.giveBack(0);
  expect(slots.tag(0)).toBe(0);
  waiters.poll();
  expect([waiters.size, slots.tag(0)]).toEqual([0, JOB]);
});

test('a sleeper that takes what a try of its thread was granted has it for what it waited for', async () => {
  const block = blockOf();
  const { line, slots } = block;
  const [JOB, OTHER_JOB] = [7, 9];
  let tag = JOB;
  const lending = new Lending(block, A, { served() {}, called() {}, lookUp() {} });
  lending.tagWith(() => tag);
  const waiters = new Waiters(lending, new KeepAlive(), {
    refusal: (reason) => reason,
    timedOut: () => new Error(),
    knot: () => undefined,
  });
  const tried = waiters.wait(lending.join(MARK_TRIES), 0, undefined, (slot) => slot, true);
  slots.reserve(0);
  slots.toIdle(0);
  lending.match();
  tag = OTHER_JOB;
  expect(waiters.exchange(lending.join(MARK_SYNC))).toBe(0);
  expect(slots.tag(0)).toBe(OTHER_JOB);
  expect([await tried, line.waiting()]).toEqual([null, 0]);
});

test('a sleeper that is sent away at the last moment keeps all that is said of it, and so does the other', () => {
  const { line } = blockOf();
  const place = (mark: number, since: number, tag: number): number => {
    const cell = line.claim(A);
    line.enter(cell, mark, since, tag);
    return cell;
  };
  const [granted, cell] = [place(0, 1000, 7), place(MARK_SYNC, 2000, 9)];
  line.grant(granted, line.load(granted), 0);
  const before = line.load(cell);
  const { compareExchange } = Atomics;
  const spy = vi.spyOn(Atomics, 'compareExchange');
  onTestFinished(() => spy.mockRestore());
  spy.mockImplementationOnce((...args: Parameters<typeof compareExchange>) => {
    line.fail(cell, before, REASON_SUSPENDED);
    return compareExchange(...args);
  });
  expect(line.exchange(cell, granted, A)).toBe(false);
  const said = [granted, cell].map((of) => [line.mark(of), line.joinedAt(of), line.tag(of)]);
  expect(said).toEqual([
    [0, 1000, 7],
    [MARK_SYNC, 2000, 9],
  ]);
});

test('a sleeper that was sent away first does not change places: the other has what it was granted', async () => {
  const { block, lending, waiters, fail } = setUp();
  const served = waiters.wait(lending.join(0), 0, undefined, (slot) => slot, false);
  const cell = lending.join(MARK_SYNC);
  block.slots.reserve(0);
  block.slots.toIdle(0);
  lending.match();
  fail(cell, REASON_SUSPENDED);
  expect(waiters.exchange(cell)).toBe(NONE);
  expect(lending.collect(cell)).toEqual({ kind: 'refused', reason: REASON_SUSPENDED });
  waiters.poll();
  expect(await served).toBe(0);
});

test.each(['polling', 'before it sleeps'])('whoever was sent away by what another brought up is not sent away twice: %s', async (when) => {
  const { lending, keepAlive, waiters, wait, fail } = setUp();
  const [first, reason] = wait();
  const [second, over] = wait();
  fail(first, REASON_FACTORY);
  fail(second, REASON_CLOSED);
  if (when === 'polling') waiters.poll();
  else waiters.exchange(lending.join(0));
  expect([await reason, await over]).toEqual([REASON_FACTORY, 'over']);
  expect([waiters.size, keepAlive.pending]).toEqual([0, 0]);
});

test('a waiter that leaves while the one before it is told keeps none behind it from being told', () => {
  const { lending, waiters, fail } = setUp();
  const cells = [lending.join(0), lending.join(0), lending.join(0)];
  const told: string[] = [];
  const stander = (name: string, then = () => {}) => ({ granted() {}, refused: () => [told.push(name), then()] });
  waiters.stand(
    cells[0],
    stander('first', () => expect(second.leave()).toBe(true)),
    A,
    false,
  );
  const second = waiters.stand(cells[1], stander('second'), A, false);
  waiters.stand(cells[2], stander('third'), A, false);
  fail(cells[0], REASON_CLOSED);
  fail(cells[2], REASON_CLOSED);
  waiters.poll();
  expect([told, waiters.size]).toEqual([['first', 'third'], 0]);
});

test('a waiter that may leave is told how when it begins to wait, and leaves once', async () => {
  const { lending, keepAlive, waiters, fail } = setUp();
  const cells = [lending.join(0), lending.join(0)];
  const leaves: ((reason: unknown) => void)[] = [];
  const waiting = cells.map((cell) =>
    rejection(waiters.wait(cell, 0, undefined, (slot) => slot, false, undefined, { waits: (leave) => void leaves.push(leave) })),
  );
  leaves[0]('elsewhere');
  leaves[0]('again');
  expect([await waiting[0], waiters.size, lending.isWaiting(cells[0])]).toEqual(['elsewhere', 1, false]);
  fail(cells[1], REASON_CLOSED);
  waiters.poll();
  leaves[1]('too late');
  expect([await waiting[1], waiters.size, keepAlive.pending]).toEqual([REASON_CLOSED, 0, 0]);
});

test('a waiter that the factory has failed for hears that, and not the end of the pool that comes right behind', async () => {
  const block = blockOf();
  const lending: Lending = new Lending(block, A, { served() {}, called() {}, lookUp() {} });
  const waiters = new Waiters(lending, new KeepAlive(), {
    refusal: (reason, cell, ticket) => ({ reason, cell, ticket }),
    timedOut: () => new Error('timed out'),
    knot: () => undefined,
  });
  const [failed, pending] = [0, 1].map(() => {
    const cell = lending.join(0);
    return { cell, ticket: block.line.ticket(cell), rejected: rejection(waiters.wait(cell, 0, undefined, (slot) => slot, false)) };
  });
  block.line.fail(failed.cell, block.line.load(failed.cell), REASON_FACTORY);
  waiters.abandon(() => 'over');
  expect(await failed.rejected).toEqual({ reason: REASON_FACTORY, cell: failed.cell, ticket: failed.ticket });
  expect(await pending.rejected).toBe('over');
});
