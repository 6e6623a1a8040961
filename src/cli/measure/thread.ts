/** A thread of the benchmark. It joins a contestant, borrows and gives back during a slice, and leaves. worker-group.ts starts it. */
import { parentPort } from 'node:worker_threads';
import { now } from '../../shared/index.ts';
import { joinCenote } from '../contestants/cenote.ts';
import type { Borrowing } from '../contestants/contestant.ts';
import { joinMessages } from '../contestants/messages.ts';
import { joinMutex } from '../contestants/mutex.ts';
import { Scoreboard, type ScoreboardHandle } from './scoreboard.ts';
import { type Contestant, drawHold, type Setting } from './setting.ts';
import { spin } from './spin.ts';

/** The contestants that lend to threads which ask for it. (Piscina is not asked: it is sent the work.) */
export type ThreadContestant = Exclude<Contestant, 'piscina'>;

export type Job =
  | {
      readonly kind: 'join';
      readonly contestant: ThreadContestant;
      readonly setting: Setting;
      readonly data: unknown;
      readonly scoreboard: ScoreboardHandle;
      /** The number of this thread, from 0. */
      readonly me: number;
    }
  | { readonly kind: 'work' | 'leave'; readonly contestant: ThreadContestant };

/** The answer to each job. */
export type Done = { readonly error?: unknown };

interface Place {
  readonly borrowing: Borrowing;
  readonly scoreboard: Scoreboard;
  readonly setting: Setting;
  readonly me: number;
}

const JOIN: Readonly<Record<ThreadContestant, (data: never, setting: Setting) => Borrowing | Promise<Borrowing>>> = {
  cenote: joinCenote,
  mutex: joinMutex,
  messages: joinMessages,
};
const places = new Map<ThreadContestant, Place>();

async function perform(job: Job): Promise<void> {
  if (job.kind === 'join') {
    const { contestant, setting, data, scoreboard, me } = job;
    const borrowing = await JOIN[contestant](data as never, setting);
    places.set(contestant, { borrowing, scoreboard: new Scoreboard(scoreboard), setting, me });
    return;
  }
  const place = places.get(job.contestant)!;
  if (job.kind === 'leave') {
    places.delete(job.contestant);
    await place.borrowing.leave();
  } else if (place.setting.mode === 'sync') workSync(place);
  else await workAsync(place);
}

// The two loops differ by one `await`, which is what is to be compared.

function workSync({ borrowing, scoreboard, setting, me }: Place): void {
  while (!scoreboard.stopped()) {
    const hold = drawHold(setting);
    const ticket = scoreboard.ask();
    const jump = scoreboard.lastJump();
    const asked = now();
    const slot = borrowing.acquire() as number;
    const wait = now() - asked;
    const overtakenBy = scoreboard.served(ticket, jump);
    scoreboard.enter(slot, me);
    spin(hold);
    scoreboard.leave(slot, me);
    borrowing.release(slot);
    scoreboard.record(me, wait, overtakenBy);
  }
}

async function workAsync({ borrowing, scoreboard, setting, me }: Place): Promise<void> {
  while (!scoreboard.stopped()) {
    const hold = drawHold(setting);
    const ticket = scoreboard.ask();
    const jump = scoreboard.lastJump();
    const asked = now();
    const slot = await borrowing.acquire();
    const wait = now() - asked;
    const overtakenBy = scoreboard.served(ticket, jump);
    scoreboard.enter(slot, me);
    spin(hold);
    scoreboard.leave(slot, me);
    borrowing.release(slot);
    scoreboard.record(me, wait, overtakenBy);
  }
}

parentPort!.on('message', async (job: Job) => {
  let done: Done = {};
  try {
    await perform(job);
  } catch (error) {
    done = { error };
  }
  parentPort!.postMessage(done);
});
