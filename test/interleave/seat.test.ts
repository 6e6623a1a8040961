// The words of a job: the runner cancels it while it goes to sleep, and reads its progress while it writes.
import type { Occupant } from '../../src/jobs/runner-thread.ts';
import type { Context, Load } from './explorer/scenario.ts';
import {
  breaks,
  caught,
  describe,
  everyAccess,
  exhaustive,
  expect,
  holds,
  mutant,
  random,
  scenario,
  test,
  together,
} from './explorer/testing.ts';

const modules = {
  bells: 'shared/words/bell.ts',
  parts: 'jobs/part.ts',
  runners: 'jobs/runner-thread.ts',
  protocol: 'jobs/protocol.ts',
  seats: 'jobs/seat.ts',
};
interface Code {
  readonly bells: typeof import('../../src/shared/words/bell.ts');
  readonly parts: typeof import('../../src/jobs/part.ts');
  readonly runners: typeof import('../../src/jobs/runner-thread.ts');
  readonly protocol: typeof import('../../src/jobs/protocol.ts');
  readonly seats: typeof import('../../src/jobs/seat.ts');
}
interface Shared {
  readonly seat: SharedArrayBuffer;
  /** One bell, of the job's thread in some pool. */
  readonly bells: Int32Array;
  /** [0] the reason of the cancel lies in the thread's port; [1] the runner has done all that it does for a cancel. */
  readonly port: Int32Array;
}
type SeatContext = Context<Code, Shared>;

const code = async (load: Load): Promise<Code> =>
  Object.fromEntries(await Promise.all(Object.entries(modules).map(async ([name, file]) => [name, await load(file)]))) as Code;
const setup = (): Shared => ({
  seat: new SharedArrayBuffer(256),
  bells: new Int32Array(new SharedArrayBuffer(256)),
  port: new Int32Array(new SharedArrayBuffer(8)),
});

const JOB = 7;
const REASON = 'the reason';

/** The shipped Part, whose host takes the reason when it lies in the port. */
function partOf({ code, shared }: SeatContext) {
  const host = {
    drain() {
      if (Atomics.load(shared.port, 0) === 1) part.cancel(REASON, false);
    },
    excuse() {},
  };
  const part = new code.parts.Part(host as never, new code.seats.Seat(shared.seat, 0), 0, JOB, 1, undefined);
  return { part, host };
}

/** A job that sleeps in a pool, as sleepInLine does it, until it is cancelled: it is told so, and why. */
const sleeper = (context: SeatContext): void => {
  const { part } = partOf(context);
  const bells = new context.code.bells.Bells(context.shared.bells, 0, 1);
  for (;;) {
    const seen = bells.read(0);
    const box = part.cancelled();
    if (box !== undefined) return context.assert(box.reason === REASON, `the job ends with ${String(box.reason)}`);
    bells.sleep(0, seen, 1e9);
  }
};

/** A job that is between two turns of its event loop, by which the reason may come before the word is set. */
const asker = (context: SeatContext): void => {
  const { part, host } = partOf(context);
  host.drain();
  if (!part.isCancelled) return;
  try {
    part.check();
  } catch (error) {
    return context.assert(error === REASON, `the job ends with ${String(error)}`);
  }
  context.fail('the job is cancelled, and check() does not throw');
};

/** A job that does nothing but ask. A cancel that is over is seen by so many calls. */
const looper = (context: SeatContext): void => {
  const { part } = partOf(context);
  for (let round = 0; round < 3; round++) {
    const isOver = Atomics.load(context.shared.port, 1) === 1;
    try {
      for (let call = 0; call <= context.code.seats.GLANCES; call++) part.check();
    } catch (error) {
      return context.assert(error === REASON, `the job ends with ${String(error)}`);
    }
    if (isOver) context.fail('the job is cancelled, and no call of check() throws');
  }
};

/** The shipped thread of the runner, with this job in its first seat. */
function threadOf({ code, shared }: SeatContext) {
  const post = (): void => void Atomics.store(shared.port, 0, 1);
  const port = { on() {}, ref() {}, unref() {}, postMessage: post };
  const thread = new code.runners.RunnerThread(1, port as never);
  Object.assign(thread, { seats: [new code.seats.Seat(shared.seat, 0)] });
  thread.take({ job: JOB, cancelled: {} } as Occupant);
  const bell = (): void => thread.receive([code.protocol.BELL, 1, shared.bells.buffer as SharedArrayBuffer, 0]);
  return { thread, bell };
}

const canceller = (context: SeatContext): void => {
  const { thread, bell } = threadOf(context);
  bell();
  thread.cancel(0, JOB, REASON);
};
const cancellerThatSaysSo = (context: SeatContext): void => {
  canceller(context);
  Atomics.store(context.shared.port, 1, 1);
};
/** The job attaches to a pool: the runner hears of its bell when it has cancelled the job. */
const knowsTheBellLate = (context: SeatContext): void => {
  const { thread, bell } = threadOf(context);
  thread.cancel(0, JOB, REASON);
  bell();
};

const common = { code, setup, timeouts: [], mortal: ['sleeper'] };
const cancels = scenario<Code, Shared>(import.meta.url, 'a job is cancelled as it goes to sleep', {
  ...common,
  threads: { sleeper, canceller },
});
const attaches = scenario<Code, Shared>(import.meta.url, 'a job is cancelled before its bell is known', {
  ...common,
  threads: { sleeper, knowsTheBellLate },
});
const asks = scenario<Code, Shared>(import.meta.url, 'a job is cancelled as it asks', {
  ...common,
  threads: { asker, canceller },
  mortal: ['asker'],
});
const loops = scenario<Code, Shared>(import.meta.url, 'a job is cancelled in a loop that only asks', {
  ...common,
  threads: { looper, cancellerThatSaysSo },
  mortal: ['looper'],
});
/** What a compiler may make of the plain read in a loop: it reads once, ahead of the loop. Not a mutant, as the job still hears of its cancel. */
const readOnce = mutant('a plain read that stays stale', 'Seat.glance', 'this.$WORDS[$WORD] === $GOES_ON', 'true');

// ── progress

const LAST = 3;
const writer = ({ code, shared }: SeatContext): void => {
  const seat = new code.seats.Seat(shared.seat, 0);
  for (let done = 1; done <= LAST; done++) seat.report(done, 10 * done);
};
const isWhole = ({ done, total }: { done: number; total: number | undefined }): boolean => total === 10 * done;
const reader = ({ code, shared, assert }: SeatContext): void => {
  const seat = new code.seats.Seat(shared.seat, 0);
  let seen = 0;
  for (let look = 0; look < 3; look++) {
    const report = seat.reportAfter(seen);
    if (report === undefined) continue;
    assert(isWhole(report), `half of one report and half of another: ${report.done} of ${report.total}`);
    assert(report.report > seen, 'an earlier report than the last');
    seen = report.report;
  }
};
const progress = scenario<Code, Shared>(import.meta.url, 'progress is read while it is written', {
  ...common,
  threads: { writer, reader },
  mortal: ['writer'],
  after: ({ code, shared, dead, assert }) => {
    const report = new code.seats.Seat(shared.seat, 0).reportAfter(0);
    assert(report === undefined || isWhole(report), 'half of a report stays');
    assert(dead.length > 0 || report?.done === LAST, 'the last report cannot be read');
  },
});
/** The same code; but others may run between the plain accesses, too. */
const everyFloat = together(
  'every access',
  mutant('', 'Seat.report', 'this.$FLOATS[$TOTAL] = total;', 'Atomics.load(this.#words, CANCEL_WORD); this.$FLOATS[$TOTAL] = total;'),
  mutant(
    '',
    'Seat.reportAfter',
    'const total = this.$FLOATS[$TOTAL];',
    'Atomics.load(this.#words, CANCEL_WORD); const total = this.$FLOATS[$TOTAL];',
  ),
);

describe('a job that is cancelled', () => {
  test.each([cancels, attaches, asks])('$name: every schedule with three preemptions', async (race) => {
    expect((await holds(race, exhaustive({ preemptions: 3 }))).complete).toBe(true);
  });

  test(`${loops.name}: every schedule with two preemptions, if every plain read sees what is there, and if none does`, async () => {
    for (const variant of [everyAccess(['Seat']), readOnce])
      expect((await holds(loops, exhaustive({ preemptions: 2 }), variant)).complete).toBe(true);
  });

  test('dies as it is cancelled: at every step', async () => {
    expect((await holds(cancels, exhaustive({ preemptions: 1, deaths: 1 }))).complete).toBe(true);
  });

  caught(
    cancels,
    exhaustive({ preemptions: 3 }),
    mutant(
      'the word is set before the reason is sent',
      'RunnerThread.cancel',
      'const $BUFFERS: Uint8Array[] = [];',
      'this.seats[seat].cancel(); const $BUFFERS: Uint8Array[] = [];',
    ),
    together(
      'the bells are rung before the word is set',
      mutant('', 'RunnerThread.cancel', 'this.seats[$SEAT].cancel();', ''),
      mutant(
        '',
        'RunnerThread.cancel',
        'for (const { words, at } of this.$BELLS.values()) $RING(words, at);',
        'for (const { words, at } of this.$BELLS.values()) $RING(words, at); this.seats[seat].cancel();',
      ),
    ),
    mutant('no bell is rung', 'RunnerThread.cancel', 'for (const { words, at } of this.$BELLS.values()) $RING(words, at);', ''),
    mutant(
      'a seat that is not cancelled',
      'Seat.cancel',
      'Atomics.store(this.$WORDS, $WORD, $CANCELLED)',
      'Atomics.load(this.$WORDS, $WORD)',
    ),
  );
  caught(
    loops,
    exhaustive({ preemptions: 2 }),
    together('a plain read that stays stale, and no load', readOnce, mutant('', 'Seat.glance', 'this.$GLANCES-- > 0', 'true')),
    together(
      'a plain read that stays stale, and a load once',
      readOnce,
      mutant('', 'Seat.glance', 'this.$GLANCES = GLANCES;', 'this.$GLANCES = 1e9;'),
    ),
    mutant(
      'the reason is not looked for in the port',
      'Part.check',
      'const { reason } = this.#reason();',
      'const reason = this.#cancelled?.reason;',
    ),
  );
  caught(
    asks,
    exhaustive({ preemptions: 3 }),
    mutant(
      'a check that looks at the word alone',
      'Part.check',
      '(this.#cancelled === undefined && !this.#seat.glance()) || this.$PROTECTED > 0',
      '!this.#seat.glance()',
    ),
  );
  caught(
    attaches,
    exhaustive({ preemptions: 3 }),
    mutant(
      'a bell that is known late is not rung',
      'RunnerThread.receive',
      'if (this.$JOBS.some(($JOB) => $JOB?.cancelled !== undefined)) $RING($BELL.words, $BELL.at);',
      '',
    ),
  );
});

describe('progress', () => {
  test('every schedule, and random ones in which the job dies', async () => {
    expect((await holds(progress, exhaustive({ preemptions: 3 }), everyFloat)).complete).toBe(true);
    await holds(progress, random({ schedules: 500, deaths: 1 }), everyFloat);
  });

  test('caught: a reader that does not look again', async () => {
    const bad = mutant('', 'Seat.reportAfter', 'if (Atomics.load(this.$WORDS, $WORD) !== $REPORT) return undefined;', '');
    await breaks(progress, exhaustive({ preemptions: 3 }), together('a reader that does not look again', everyFloat, bad));
  });

  test('caught: a writer that does not say that it writes', async () => {
    const bad = mutant('', 'Seat.beginReport', 'Atomics.store(this.$WORDS, $WORD, $REPORT);', '');
    await breaks(progress, exhaustive({ preemptions: 3 }), together('a writer that does not say that it writes', everyFloat, bad));
  });
});
