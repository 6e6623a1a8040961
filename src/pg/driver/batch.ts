/**
 * Statements of one thread that waited together, served in one go by whichever thread speaks on the connection. All of them are sent at
 * once, each with its own end, and each is answered by itself.
 *
 * What has been sent cannot be taken back, so only statements that read go together, and others stand only behind such as have always
 * answered quickly. Those behind one that takes its time after all stand in line again, and the connection that is at one of them first
 * serves it: what the other connection says of it then is not passed on. So no statement waits for a lock that another one waits for.
 */
import { performance } from 'node:perf_hooks';
import { clearTimeout, setImmediate, setTimeout } from 'node:timers';
import type { Companion, Company } from '../../shared/options/company.ts';
import { isPacked, unpacked } from '../messages/frames.ts';
import { isWhole } from '../messages/mode.ts';
import type { Answer } from '../messages/protocol.ts';
import { singleIn } from '../messages/single.ts';
import { type Habit, habitOf } from '../sql/reads.ts';
import type { Wire } from './wire.ts';

/** How long a statement may take before those behind it stand in line again, in ms. */
const PATIENCE = 10;
/** Longer ones go alone, in bytes. */
const LONG = 16_384;
/** All of them together, in bytes: so much the socket takes at once, and a thread that blocks could not send the rest. */
const MOST = 65_536;

/** The session, as far as it matters here. */
export interface Speaker {
  /** Called before this text is sent. */
  touch(text: string): void;
  /**
   * What the asker is told of the answer in these bytes; or, if the connection was lost, of what has come. `began`: when the server came to
   * it, by `performance.now`. `mode`: the statement's.
   */
  told(bytes: Buffer[], began: number, mode: number): Answer | Promise<Answer>;
  /** Asks the server to cancel all that was sent and is not answered. */
  cancel(): void;
  /** No other statement is to run before the session has been seen to. */
  isDone(): boolean;
}

interface Rider {
  readonly bytes: Buffer;
  readonly text: string;
  readonly mode: number;
  readonly habit: Habit;
  /** Undefined for the first. */
  readonly companion: Companion | undefined;
  hasBegun: boolean;
}

/** The arguments of a call as a statement that may go with others; undefined if it may not. */
function riderOf([profile, bytes, mode, timeout]: readonly unknown[], as: unknown): Rider | undefined {
  if (profile !== as || !isPacked(bytes) || bytes.length > LONG || typeof mode !== 'number' || timeout != null) return undefined;
  const own = unpacked(bytes);
  const text = isWhole(mode) ? singleIn(own) : undefined;
  return text === undefined ? undefined : { bytes: own, text, mode, habit: habitOf(text), companion: undefined, hasBegun: true };
}

export class Batch {
  readonly #wire: Wire;
  readonly #speaker: Speaker;
  /** In the order in which they were asked and are sent. */
  readonly #riders: Rider[] = [];
  /** The one that the server is at. */
  #at = 0;
  #since = 0;
  #timer: NodeJS.Timeout | undefined;
  #isReleased = false;

  /** `args`: of the first. Takes along what may go behind it. */
  constructor(wire: Wire, speaker: Speaker, args: readonly unknown[], company: Company) {
    this.#wire = wire;
    this.#speaker = speaker;
    const [profile] = args;
    let last = riderOf(args, profile);
    if (last === undefined) return;
    this.#riders.push(last);
    let size = last.bytes.length;
    const fits = (others: readonly unknown[]): boolean => {
      last = riderOf(others, profile);
      return last?.habit.isRead === true && size + last.bytes.length <= MOST;
    };
    while (last?.habit.isQuick) {
      const companion = company.next(fits);
      if (companion === undefined) break;
      size += last.bytes.length;
      this.#riders.push({ ...last, companion, hasBegun: false });
    }
  }

  /** How many there are. 0: the first may not go with others. */
  get size(): number {
    return this.#riders.length;
  }

  /** The first goes alone, and is sent now. */
  beginAlone(): void {
    this.#since = performance.now();
  }

  /** It was answered with so many bytes. How long it took is noted, so that others may stand behind the next of its kind. */
  endAlone(size: number): void {
    const [first] = this.#riders;
    if (first?.habit.isRead === true) first.habit.note(performance.now() - this.#since, size);
  }

  /**
   * Sends all of them. `told` hears what the asker of the first is told. `done` is called when the server is ready for something else, or
   * the connection is lost, before the asker of the last is told. Throws if nothing can be said; `done` is not called then.
   */
  run(told: (answer: Answer | Promise<Answer>) => void, done: () => void): void {
    const wire = this.#wire;
    try {
      const bytes = Buffer.concat(this.#riders.map((rider) => rider.bytes));
      wire.readSingles(this.#riders.length, this.#riders.at(-1)!.bytes);
      for (const { text } of this.#riders) this.#speaker.touch(text);
      this.#since = performance.now();
      wire.lend(true, (answer) => this.#answered(answer, told)());
      wire.say(bytes);
    } catch (error) {
      this.#end();
      throw error;
    }
    this.#watch();
    // The last answer; or the connection is lost, and this is what has come of the one that the server was at.
    wire.whenHeard((answer) => {
      const tell = this.#answered(answer, told);
      this.#end();
      done();
      tell();
    });
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.release();
    for (const { companion } of this.#riders.slice(this.#at)) companion?.end();
  }

  /** Those that the server has not begun are not run here any more. */
  release(): void {
    this.#isReleased = true;
    this.#giveBack();
  }

  /** The last one first, as each goes to the head of the line of its thread. */
  #giveBack(): void {
    for (const { companion, hasBegun } of this.#riders.slice(this.#at).reverse()) if (!hasBegun) companion?.back();
  }

  /** Gives what tells the asker. */
  #answered(bytes: Buffer[], told: (answer: Answer | Promise<Answer>) => void): () => void {
    const { mode, habit, companion, hasBegun } = this.#riders[this.#at++];
    const time = performance.now();
    if (!this.#speaker.isDone()) habit.note(time - this.#since, sizeOf(bytes));
    const answer = this.#speaker.told(bytes, this.#since, mode);
    this.#since = time;
    if (this.#speaker.isDone()) this.release();
    const next = this.#riders[this.#at];
    if (next !== undefined) {
      next.hasBegun = !this.#isReleased && next.companion!.begin();
      if (!next.hasBegun && this.#timer === undefined) this.#watch();
    }
    return () => (companion === undefined ? told(answer) : companion.end(hasBegun ? answer : undefined));
  }

  #watch(): void {
    const at = this.#at;
    const look = (): void => {
      const rider = this.#riders[this.#at];
      if (rider === undefined || this.#at !== at) return rider && this.#watch();
      this.#timer = undefined;
      if (rider.hasBegun) return this.#giveBack();
      // No asker waits for this one here.
      this.release();
      this.#speaker.cancel();
    };
    // The answer may lie there, if this thread has not been at its event loop.
    this.#timer = setTimeout(() => setImmediate(look), PATIENCE);
  }
}

const sizeOf = (pieces: readonly Buffer[]): number => pieces.reduce((sum, { length }) => sum + length, 0);
