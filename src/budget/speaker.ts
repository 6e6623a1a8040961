/**
 * The owner's end of the thread that speaks with the engines: started for the first budget, ended with the last. It keeps the process alive
 * only while it is asked.
 */
import { Worker } from 'node:worker_threads';
import type { Row } from './engines/engine.ts';
import type { News } from './member.ts';
import { packed, type ToOwner, type ToThread, unpacked, type WireNews } from './messages.ts';
import { type AskedSettings, numberOf, settingsNow } from './sources.ts';

/** What a budget hears. */
export interface Listener {
  heard(news: News): void;
  /** The thread has ended, which it never should. */
  failed(error: Error): void;
}

type Open = Omit<Extract<ToThread, { to: 'open' }>, 'to' | 'budget' | 'engine' | 'source'>;
type Call = { to: 'members' | 'close' } | { to: 'resize'; limit: number };

export class Speaker {
  static #present: Speaker | undefined;
  readonly #thread: Worker;
  readonly #listeners = new Map<number, Listener>();
  readonly #calls = new Map<number, { done(value: Row[] | undefined): void; failed(error: Error): void }>();
  readonly #asked = new Map<number, AskedSettings>();
  #number = 0;
  #pending = 0;

  static present(): Speaker {
    Speaker.#present ??= new Speaker();
    return Speaker.#present;
  }

  private constructor() {
    // Without the flags of this process: some (--input-type) are not for threads.
    this.#thread = new Worker(new URL('./thread.js', import.meta.url), { name: 'cenote/budget', execArgv: [] });
    this.#thread.unref();
    this.#thread.on('message', (message: ToOwner) => this.#heard(message));
    this.#thread.on('error', (error) => this.#ended(error as Error));
    this.#thread.on('exit', () => this.#ended(new Error('the thread of cenote/budget has ended')));
  }

  /** Gives the budget's number here. */
  open(engine: object, settings: Open, listener: Listener): number {
    const budget = ++this.#number;
    const [number, source, asked] = numberOf(engine);
    if (asked !== undefined) this.#asked.set(number, asked);
    this.#listeners.set(budget, listener);
    this.#post({ to: 'open', budget, engine: number, source, ...settings });
    return budget;
  }

  order(budget: number, to: 'look' | 'let-go'): void {
    this.#post({ to, budget });
  }

  call(budget: number, what: Call): Promise<Row[] | undefined> {
    const call = ++this.#number;
    return this.during(
      new Promise((done, failed) => {
        this.#calls.set(call, { done, failed });
        this.#post({ ...what, budget, call } as ToThread);
      }),
    );
  }

  /** Keeps the process alive until it has settled. */
  async during<V>(promise: Promise<V>): Promise<V> {
    if (this.#pending++ === 0) this.#thread.ref();
    try {
      return await promise;
    } finally {
      if (--this.#pending === 0) this.#thread.unref();
    }
  }

  /** That budget is over. The last one ends the thread. */
  async close(budget: number): Promise<void> {
    if (!this.#listeners.has(budget)) return;
    await this.call(budget, { to: 'close' }).catch(() => {});
    this.#listeners.delete(budget);
    if (this.#listeners.size > 0) return;
    if (Speaker.#present === this) Speaker.#present = undefined;
    await this.#thread.terminate();
  }

  #post(message: ToThread): void {
    this.#thread.postMessage(message);
  }

  #heard(message: ToOwner): void {
    switch (message.from) {
      case 'news':
        return this.#listeners.get(message.budget)?.heard(restored(message.news));
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
    try {
      this.#post({ to: 'settings', question, settings: await settingsNow(this.#asked.get(engine)!) });
    } catch (error) {
      this.#post({ to: 'settings', question, error: packed(error) });
    }
  }

  #ended(error: Error): void {
    if (Speaker.#present === this) Speaker.#present = undefined;
    for (const { failed } of this.#calls.values()) failed(error);
    this.#calls.clear();
    for (const listener of this.#listeners.values()) listener.failed(error);
    this.#listeners.clear();
  }
}

const restored = (news: News | WireNews): News =>
  news.type === 'unreachable' || news.type === 'refused' ? { ...news, error: unpacked(news.error as never) } : (news as News);
