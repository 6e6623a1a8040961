/**
 * The owner's end of the thread that speaks with the engines: started for the first budget, ended with the last. It keeps the process
 * alive only while it is asked. If it ends by itself, through an error in a driver, say, it is started again: its members go on with the
 * same words and the same rows in the engine, so that nothing is lost unless it takes longer than their leases last.
 */
import { clearTimeout, setTimeout } from 'node:timers';
import { Worker } from 'node:worker_threads';
import type { Row } from './engines/engine.ts';
import type { News } from './member.ts';
import { packed, type ToOwner, type ToThread, unpacked, type WireNews } from './messages.ts';
import { type AskedSettings, numberOf, settingsNow } from './sources.ts';

/**
 * First pause before a thread that has ended is replaced, in ms; doubled each time, up to the last. After one that ran for longer than that
 * it is the first again.
 */
const FIRST_PAUSE = 100;
const LAST_PAUSE = 10_000;

/** What a budget hears. */
export interface Listener {
  heard(news: News): void;
  /** The thread has ended, which it never should. Another will be started. `isAgain`: so had the one before, just now. */
  ended(error: Error, isAgain: boolean): void;
  /** There is another. */
  restarted(): void;
}

type Opening = Extract<ToThread, { to: 'open' }>;
type Open = Omit<Opening, 'to' | 'budget' | 'engine' | 'source'>;
type Call = { to: 'members' | 'close' } | { to: 'resize'; limit: number };

export class Speaker {
  static #present: Speaker | undefined;
  /** Undefined: it has ended, and `#restart` is to come. */
  #thread: Worker | undefined;
  #restart: NodeJS.Timeout | undefined;
  #startedAt = 0;
  #pause = FIRST_PAUSE;
  readonly #budgets = new Map<number, { readonly opening: Opening; readonly listener: Listener }>();
  readonly #calls = new Map<number, { done(value: Row[] | undefined): void; failed(error: Error): void }>();
  readonly #asked = new Map<number, AskedSettings>();
  #number = 0;
  #pending = 0;

  static present(): Speaker {
    Speaker.#present ??= new Speaker();
    return Speaker.#present;
  }

  private constructor() {
    this.#start();
  }

  #start(): void {
    // Without the flags of this process: some (--input-type) are not for threads.
    const thread = new Worker(new URL('./thread.js', import.meta.url), { name: 'cenote/budget', execArgv: [] });
    let error = new Error('the thread of cenote/budget has ended');
    thread.on('message', (message: ToOwner) => this.#heard(message));
    thread.on('error', (thrown) => {
      error = thrown as Error;
    });
    thread.on('exit', () => this.#ended(thread, error));
    this.#thread = thread;
    this.#startedAt = performance.now();
    if (this.#pending === 0) thread.unref();
  }

  /** Gives the budget's number here. */
  open(engine: object, settings: Open, listener: Listener): number {
    const budget = ++this.#number;
    const [number, source, asked] = numberOf(engine);
    if (asked !== undefined) this.#asked.set(number, asked);
    const opening: Opening = { to: 'open', budget, engine: number, source, ...settings };
    this.#budgets.set(budget, { opening, listener });
    this.#thread?.postMessage(opening);
    return budget;
  }

  /** A thread that is yet to come looks by itself. */
  order(budget: number, to: 'look' | 'let-go'): void {
    this.#thread?.postMessage({ to, budget });
  }

  call(budget: number, what: Call): Promise<Row[] | undefined> {
    const call = ++this.#number;
    return this.during(
      new Promise((done, failed) => {
        if (this.#thread === undefined) return failed(new Error('the thread of cenote/budget has ended, and is started again soon'));
        this.#calls.set(call, { done, failed });
        this.#thread.postMessage({ ...what, budget, call } as ToThread);
      }),
    );
  }

  /** Keeps the process alive until it has settled. */
  async during<V>(promise: Promise<V>): Promise<V> {
    if (this.#pending++ === 0) (this.#thread ?? this.#restart)?.ref();
    try {
      return await promise;
    } finally {
      if (--this.#pending === 0) (this.#thread ?? this.#restart)?.unref();
    }
  }

  /** That budget is over. The last one ends the thread. */
  async close(budget: number): Promise<void> {
    if (!this.#budgets.has(budget)) return;
    await this.call(budget, { to: 'close' }).catch(() => {});
    this.#budgets.delete(budget);
    if (this.#budgets.size > 0) return;
    if (Speaker.#present === this) Speaker.#present = undefined;
    clearTimeout(this.#restart);
    await this.#thread?.terminate();
  }

  #heard(message: ToOwner): void {
    switch (message.from) {
      case 'news':
        return this.#budgets.get(message.budget)?.listener.heard(restored(message.news));
      case 'reply': {
        const call = this.#calls.get(message.call);
        this.#calls.delete(message.call);
        if (message.error === undefined) call?.done(message.value);
        else call?.failed(unpacked(message.error));
        return;
      }
      case 'asks':
        void this.#answer(message.engine, message.question);
    }
  }

  async #answer(engine: number, question: number): Promise<void> {
    let answer: ToThread;
    try {
      answer = { to: 'settings', question, settings: await settingsNow(this.#asked.get(engine)!) };
    } catch (error) {
      answer = { to: 'settings', question, error: packed(error) };
    }
    this.#thread?.postMessage(answer);
  }

  #ended(thread: Worker, error: Error): void {
    if (this.#thread !== thread) return;
    this.#thread = undefined;
    for (const { failed } of this.#calls.values()) failed(error);
    this.#calls.clear();
    if (this.#budgets.size === 0) return;
    if (performance.now() - this.#startedAt > LAST_PAUSE) this.#pause = FIRST_PAUSE;
    const isAgain = this.#pause > FIRST_PAUSE;
    this.#restart = setTimeout(() => this.#startAgain(), this.#pause);
    this.#pause = Math.min(2 * this.#pause, LAST_PAUSE);
    if (this.#pending === 0) this.#restart.unref();
    for (const { listener } of this.#budgets.values()) listener.ended(error, isAgain);
  }

  #startAgain(): void {
    this.#start();
    for (const { opening, listener } of this.#budgets.values()) {
      this.#thread!.postMessage(opening);
      listener.restarted();
    }
  }
}

const restored = (news: News | WireNews): News =>
  news.type === 'unreachable' || news.type === 'refused' ? { ...news, error: unpacked(news.error as never) } : (news as News);
