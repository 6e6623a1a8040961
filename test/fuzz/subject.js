// One round of the fuzz, in a process of its own: an owner, two borrowers, one thread that writes where it should not, and one that watches. See fuzz.ts.
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { createPool, PoolError } from 'cenote';
import { attachPool } from 'cenote/worker';
import { AttachedThreads } from '../../dist/main/threads/attached-threads.js';
import * as layout from '../../dist/shared/layout.js';
import { ControlBlock } from '../../dist/shared/words/control-block.js';
import { GRANTED } from '../../dist/shared/words/line.js';

const BORROWERS = 2;
/** Words of the board that all threads share: how often each heart has beaten, what they have counted, and whether it is time to stop. */
const STOP = 0;
const OPERATIONS = 1;
const REFUSED = 2;
const FLIPS = 3;
const STRANDED = 4;
/** Which damage there was that may cost more than figures: see docs/proof-bad-input.md. */
const DAMAGED = 5;
const SLOT_WORD = 1;
const CELL_WORD = 2;
const JUDGED = 6;
/** Each slot whose own word was damaged has its bit. */
const DAMAGED_SLOTS = 7;
/** Times that somebody else had a resource whose slot's word was damaged. */
const EXCUSED = 8;
const HEARTS = 9;
/** Two words of the witnesses' own for each resource: who has it, by what the borrowers themselves say (0: nobody), and in which slot it was put. */
const MOST_RESOURCES = 1 << 16;
const DESTROYED = -1;
/** Where a cell says which slot: see line.ts. */
const SLOT_SHIFT = 13;
/** close() has ended by then, or never will: the machine may be busy. */
const CLOSED_BY = 60_000;
const RUN_MS = 600;
/** A heart that has not beaten for so long stands still: the machine may be busy. */
const STILL = 30_000;

/** mulberry32 */
function random(seed) {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** At once, whatever state the process is in. */
const say = (line) => writeSync(1, `${line}\n`);
const isOurs = (error) => error instanceof PoolError || error?.code?.startsWith?.('ERR_POOL');

/** Nothing that the block says is asked: a borrower swaps itself in after it has acquired, and out before it gives back. */
class Witness {
  #words;
  #board;
  #holds = 0;
  #me;

  constructor(words, board, me) {
    this.#words = words;
    this.#board = board;
    this.#me = me;
  }

  enter({ id }) {
    const holder = ((this.#me + 1) << 24) | (++this.#holds & 0xffffff);
    this.#swap(id, 0, holder);
    return holder;
  }

  leave({ id }, holder) {
    this.#swap(id, holder, 0);
  }

  destroyed({ id }) {
    this.#judge(id, Atomics.exchange(this.#words, id, DESTROYED), 0, DESTROYED);
  }

  #swap(id, from, to) {
    this.#judge(id, Atomics.compareExchange(this.#words, id, from, to), from, to);
  }

  /** At the end threads are terminated with what they have. */
  #judge(id, found, expected, next) {
    if (Atomics.load(this.#board, STOP) !== 0) return;
    Atomics.add(this.#board, JUDGED, 1);
    if (found === expected) return;
    const slot = Atomics.load(this.#words, MOST_RESOURCES + id);
    if (((Atomics.load(this.#board, DAMAGED_SLOTS) >> slot) & 1) !== 0) Atomics.add(this.#board, EXCUSED, 1);
    else
      say(
        `failure resource ${id} has two: ${found} had it, not ${expected}, as it was to be ${next}; the word of its slot ${slot} was not damaged`,
      );
  }
}

/** The pool tells nobody in which slot a resource is. This is where the owner learns it, before anybody can have it. */
function noteSlots(witnesses) {
  const { share } = AttachedThreads.prototype;
  AttachedThreads.prototype.share = function (slot, generation, resource) {
    Atomics.store(witnesses, MOST_RESOURCES + resource.id, slot);
    return share.call(this, slot, generation, resource);
  };
}

class Thing {
  constructor(id) {
    this.id = id;
  }

  twice(n) {
    return n * 2;
  }
}

/** What a borrower does, on the owner or beside it, until it is time. */
async function work(pool, pick, board, heart, isSync, witness) {
  const beat = setInterval(() => Atomics.add(board, HEARTS + heart, 1), 20);
  const attempt = async (body) => {
    try {
      await body();
    } catch (error) {
      if (!isOurs(error)) {
        say(`failure not an error of ours: ${error?.stack ?? error}`);
      }
      Atomics.add(board, REFUSED, 1);
    }
    Atomics.add(board, OPERATIONS, 1);
    Atomics.add(board, HEARTS + heart, 1);
  };
  const timeout = 50;
  const watched = async (thing, body) => {
    const holder = witness.enter(thing);
    await body();
    witness.leave(thing, holder);
  };
  const watchedSync = (thing) => witness.leave(thing, witness.enter(thing));
  const witnessed = [
    () => pool.use((thing) => watched(thing, () => {}), { timeout }),
    () => Promise.all([1, 2, 3].map(() => pool.use((thing) => watched(thing, () => sleep(1)), { timeout }))),
    async () => {
      const thing = await pool.tryAcquire();
      if (thing === null) return;
      await watched(thing, () => {});
      pool.release(thing);
    },
    async () => {
      const lease = await pool.lease({ timeout });
      await watched(lease.resource, () => {});
      if (pick(8) === 0) lease.destroy();
      else lease.release();
    },
    () => pool.call('twice', [3], { timeout }),
    ...(isSync ? [async () => pool.useSync(watchedSync, { timeout })] : []),
  ];
  const acts = [
    () => pool.use((thing) => thing.twice(2), { timeout }),
    () => Promise.all([1, 2, 3].map(() => pool.use(() => sleep(1), { timeout }))),
    async () => {
      const thing = await pool.tryAcquire();
      if (thing !== null) pool.release(thing);
    },
    async () => {
      const lease = await pool.lease({ timeout });
      if (pick(4) === 0) lease.destroy();
      else lease.release();
    },
    () => pool.call('twice', [3], { timeout }),
    async () => void pool.stats(),
    async () =>
      pool
        .use(() => {}, { timeout, signal: AbortSignal.timeout(5) })
        .catch((error) => {
          if (error?.name !== 'TimeoutError') throw error;
        }),
    ...(isSync
      ? [
          async () => pool.useSync((thing) => thing.twice(1), { timeout }),
          async () => {
            const thing = pool.tryAcquireSync();
            if (thing !== null) pool.release(thing);
          },
        ]
      : []),
  ];
  while (Atomics.load(board, STOP) === 0) {
    // What cannot be had with a timeout may wait until the end: a try whose mark is damaged, or a one-shot call that is lost with its slot.
    const some = witness === undefined ? acts : witnessed;
    const act = some[pick(some.length)];
    const done = attempt(act);
    const inTime = await Promise.race([done.then(() => true), sleep(300, false, { ref: false })]);
    if (!inTime) Atomics.add(board, STRANDED, 1);
    if (pick(8) === 0) await sleep(0);
  }
  clearInterval(beat);
}

/** The words of a region, by name. */
function regions({ layout: at, words }) {
  const { slotCount, threadCount, cellCount } = at;
  return [
    ['header', 0, 12],
    ['state', layout.STATE_WORD, 1],
    ['LINE', layout.LINE_WORD, 1],
    ['ticket', layout.TICKET_WORD, 1],
    ['fold and counters', layout.FOLD_WORD, 18],
    ['slots', at.slots, slotCount * layout.SLOT_STRIDE],
    ['slot words', -1, slotCount],
    ['threads', at.threads, threadCount * layout.THREAD_STRIDE],
    ['bells', -2, threadCount],
    ['cells', at.cells, cellCount],
    ['first cells', at.cells, 6],
    ['tickets', at.tickets, 6],
    ['marks', at.marks, 6],
    ['stamps', at.joined, 6],
    ['histograms', at.waitTimes, words.length - at.waitTimes],
  ];
}

async function owner(seed) {
  const pick = random(seed);
  const guarded = pick(3);
  // What `share` hands out has its number with it; what is called remotely does not.
  const isWitnessed = pick(2) === 0;
  // Two borrowers are excused only by damage to the word of that very slot. With no slot's word and no cell's damaged (2) nothing excuses a close() that does not end.
  const spares = pick(3);
  const board = new Int32Array(new SharedArrayBuffer(4 * 32));
  // Damage that chance would not find: what somebody has just been granted, and has not picked up; or how far the line goes.
  const aims = isWitnessed && spares === 1 && pick(2) === 0;
  const witnesses = new Int32Array(new SharedArrayBuffer(4 * 2 * MOST_RESOURCES));
  noteSlots(witnesses);
  const witness = isWitnessed ? new Witness(witnesses, board, 0) : undefined;
  let made = 0;
  const make = () => new Thing(made++ % MOST_RESOURCES);
  const pool = await createPool({
    factory: () => (pick(2) === 0 ? make() : sleep(1).then(make)),
    destructor: (thing) => witness?.destroyed(thing),
    max: 1 + pick(4),
    min: pick(2),
    maxWaiting: 8,
    maxThreads: 4,
    maxUses: pick(2) * 20,
    leakDetectionThreshold: pick(2) * 100,
    ...(isWitnessed ? { share: ({ id }) => ({ id }) } : {}),
    ...(guarded === 1 ? { beforeAcquire: () => true } : {}),
    ...(guarded === 2 ? { beforeRelease: () => true } : {}),
  });
  pool.on('error', (error) => {
    if (!isOurs(error)) say(`failure event of an error that is not ours: ${error?.stack ?? error}`);
  });
  const start = (role, index) =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), {
        workerData: { role, index, seed, handle: pool.handle, board, witnesses, isWitnessed, spares, aims },
      });
      worker.on('message', () => resolve(worker));
      worker.on('error', (error) => {
        say(`failure a thread died: ${error?.stack ?? error}`);
        reject(error);
      });
    });
  const ended = (worker) => new Promise((resolve) => worker.once('exit', resolve));
  const watcher = await start('watch');
  const borrowers = await Promise.all(Array.from({ length: BORROWERS }, (_, index) => start('borrow', index + 1)));
  const vandal = await start('flip');
  const all = [...borrowers, vandal].map(ended);
  await Promise.all([work(pool, pick, board, 0, false, witness), sleep(RUN_MS).then(() => Atomics.store(board, STOP, 1))]);
  // Those who still wait for something lost go on to their end when their thread does.
  await Promise.race([Promise.all(all), sleep(3000)]);
  await Promise.all([...borrowers, vandal].map((worker) => worker.terminate()));
  // A slot whose own word was damaged may be lost, or one that a damaged cell was granted; and close waits for it. For nothing else.
  const isExcused = board[DAMAGED] !== 0;
  const isOver = await Promise.race([pool.close().then(() => true), sleep(isExcused ? 500 : CLOSED_BY, false)]);
  if (!isOver && !isExcused)
    say(`failure close() has not ended, and no slot's and no cell's word was damaged: ${JSON.stringify(pool.stats())}`);
  await watcher.terminate();
  const [operations, refused, flips, stranded, judged, excused] = [OPERATIONS, REFUSED, FLIPS, STRANDED, JUDGED, EXCUSED].map(
    (word) => board[word],
  );
  say(`figures ${JSON.stringify({ operations, refused, flips, stranded, judged, excused, awaited: isExcused ? 0 : 1 })}`);
  // What is lost keeps the process alive; that is known, and said in docs/proof-bad-input.md.
  setTimeout(() => process.exit(), 10);
}

async function thread({ role, index, seed, handle, board, witnesses, isWitnessed, spares, aims }) {
  const pick = random(seed * 31 + (index ?? 0) + role.length);
  if (role === 'borrow') {
    const pool = await attachPool(handle);
    parentPort.postMessage('ready');
    await work(pool, pick, board, index, true, isWitnessed ? new Witness(witnesses, board, index) : undefined);
    return process.exit();
  }
  parentPort.postMessage('ready');
  if (role === 'watch') {
    const seen = new Int32Array(1 + BORROWERS);
    const since = new Float64Array(1 + BORROWERS).fill(performance.now());
    for (;;) {
      await sleep(50);
      if (Atomics.load(board, STOP) !== 0) continue;
      for (let heart = 0; heart <= BORROWERS; heart++) {
        const beats = Atomics.load(board, HEARTS + heart);
        if (beats !== seen[heart]) since[heart] = performance.now();
        seen[heart] = beats;
        if (performance.now() - since[heart] < STILL) continue;
        say(`failure ${heart === 0 ? 'the owner' : `borrower ${heart}`} stands still`);
        process.kill(process.pid, 'SIGKILL');
      }
    }
  }
  const block = ControlBlock.attach(handle.buffer);
  const { words } = block;
  const places = regions(block);
  if (aims) return aim(block, pick, board);
  // Few flips: the pool should have something left to lose.
  const most = 1 + pick(12);
  for (let flip = 0; flip < most && Atomics.load(board, STOP) === 0; flip++) {
    await sleep(pick((RUN_MS * 1.5) / most));
    const [name, from, count] = places[pick(places.length)];
    const which = pick(count);
    const at = from === -1 ? block.slots.at(which) : from === -2 ? block.layout.threads + which * layout.THREAD_STRIDE : from + which;
    const isSlotWord = name.startsWith('slot') && (at - block.layout.slots) % layout.SLOT_STRIDE === layout.SLOT_STATE;
    const isCell = name.endsWith('cells');
    if ((isSlotWord && spares > 0) || (isCell && spares > 1)) continue;
    // Said before it is done.
    if (isSlotWord) {
      Atomics.or(board, DAMAGED, SLOT_WORD);
      Atomics.or(board, DAMAGED_SLOTS, 1 << ((at - block.layout.slots) / layout.SLOT_STRIDE));
    } else if (isCell) Atomics.or(board, DAMAGED, CELL_WORD);
    let mask = 0;
    for (let bits = pick(3) === 0 ? 1 + pick(8) : 1; bits > 0; bits--)
      mask ^= 1 << pick(name.endsWith('words') || name.endsWith('cells') ? 16 : 32);
    const before = Atomics.xor(words, at, mask);
    Atomics.add(board, FLIPS, 1);
    say(`flip ${name} word ${at}: ${before >>> 0} ^ ${mask >>> 0}`);
  }
}

/** Watches the cells, and now and then makes one that is GRANTED say another slot, or LINE a lower or higher high water. */
async function aim({ layout: at, words }, pick, board) {
  let damaged = 0;
  while (damaged < 20 && Atomics.load(board, STOP) === 0) {
    const end = performance.now() + 20;
    while (performance.now() < end) {
      const cell = at.cells + pick(Math.min(at.cellCount, 6));
      const word = Atomics.load(words, cell);
      if ((word & 0b111) !== GRANTED) continue;
      const mask = 1 << (SLOT_SHIFT + pick(2));
      // Exactly this one: what somebody else gets meanwhile stays whole.
      Atomics.or(board, DAMAGED, CELL_WORD);
      if (Atomics.compareExchange(words, cell, word, word ^ mask) !== word) continue;
      damaged++;
      Atomics.add(board, FLIPS, 1);
      say(`flip granted cell ${cell}: ${word >>> 0} ^ ${mask}`);
      break;
    }
    if (pick(4) === 0) {
      const mask = 1 << (1 + pick(16));
      Atomics.xor(words, layout.LINE_WORD, mask);
      Atomics.add(board, FLIPS, 1);
      say(`flip high water ^ ${mask}`);
    }
    await sleep(1);
  }
}

for (const event of ['uncaughtException', 'unhandledRejection'])
  process.on(event, (error) => {
    if (isOurs(error)) return;
    say(`failure ${event}: ${error?.stack ?? error}`);
  });
if (isMainThread) await owner(Number(process.argv[2]));
else await thread(workerData);
