/** An attached thread as the owner sees it: its port, and its calls under way. */
import type { MessagePort } from 'node:worker_threads';
import type { Bells } from '../shared/bell.ts';
import { isCloneable, RemoteCallError, show, toWire } from '../shared/errors.ts';
import { clearTimeout, queueMicrotask, setTimeout } from '../shared/node.ts';
import { ANSWER, FACTORY_FAILURE, FAILURE, type Response } from '../shared/protocol.ts';
import { isThenable } from './checks.ts';

interface UnderWay {
  readonly lease: number;
  calls: number;
  readonly whenSettled: (() => void)[];
}

export class Member {
  readonly thread: number;
  readonly threadId: number;
  readonly #pool: string;
  readonly #port: MessagePort;
  readonly #bells: Bells;
  /** By slot: what its present lease is running. */
  readonly #underWay = new Map<number, UnderWay>();
  #outbox: Response[] = [];
  /** Which methods the answers in the outbox are from, for error messages. */
  #names: string[] = [];
  #isGone = false;

  constructor(pool: string, thread: number, threadId: number, port: MessagePort, bells: Bells) {
    this.#pool = pool;
    this.thread = thread;
    this.threadId = threadId;
    this.#port = port;
    this.#bells = bells;
  }

  // ── calls

  /** Runs a method and sends the answer: with everything else of this tick, or at once to somebody who sleeps for it. */
  run(id: number, slot: number, lease: number, name: string, isSync: boolean, method: () => unknown): void {
    let underWay = this.#underWay.get(slot);
    if (underWay?.lease !== lease) {
      underWay = { lease, calls: 0, whenSettled: [] };
      this.#underWay.set(slot, underWay);
    }
    underWay.calls++;
    const settle = (response: Response): void => {
      this.answer(response, isSync, name);
      this.#settled(slot, underWay);
    };
    try {
      const result = method();
      if (isThenable(result))
        Promise.resolve(result).then(
          (value) => settle([ANSWER, id, [value]]),
          (error: unknown) => settle([FAILURE, id, toWire(error)]),
        );
      else settle([ANSWER, id, [result]]);
    } catch (error) {
      settle([FAILURE, id, toWire(error)]);
    }
  }

  #settled(slot: number, underWay: UnderWay): void {
    if (--underWay.calls > 0) return;
    if (this.#underWay.get(slot) === underWay) this.#underWay.delete(slot);
    for (const then of underWay.whenSettled) then();
  }

  /** At once if nothing of this lease is running. */
  whenSettled(slot: number, lease: number, then: () => void): void {
    const underWay = this.#underWay.get(slot);
    if (underWay?.lease === lease) underWay.whenSettled.push(then);
    else then();
  }

  /** The same, but waits no longer than `patience` ms. */
  whenSettledOr(patience: number, slot: number, lease: number, then: (settled: boolean) => void): void {
    let over = false;
    const end = (settled: boolean): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      then(settled);
    };
    const timer = setTimeout(() => end(false), patience);
    this.whenSettled(slot, lease, () => end(true));
  }

  // ── answers

  answer(response: Response, isSync: boolean, name: string): void {
    if (this.#isGone) return;
    if (isSync) {
      this.#post(response, name);
      this.#bells.ring(this.thread);
      return;
    }
    this.#names.push(name);
    const last = this.#outbox.at(-1);
    // A run of answers is one, like a run of calls.
    if (last?.[0] === ANSWER && response[0] === ANSWER && last[1] + last[2].length === response[1]) last[2].push(response[2][0]);
    else if (this.#outbox.push(response) === 1) queueMicrotask(() => this.flush());
  }

  /** At once, and after everything that was said before. */
  send(response: Response): void {
    this.flush();
    this.#post(response);
  }

  flush(): void {
    const responses = this.#outbox;
    const names = this.#names;
    if (responses.length === 0) return;
    this.#outbox = [];
    this.#names = [];
    try {
      if (!this.#isGone) this.#port.postMessage(responses);
    } catch {
      // One of them cannot be cloned: the others must not suffer.
      let next = 0;
      for (const response of responses) {
        if (response[0] !== ANSWER) this.#post(response, names[next++]);
        else for (const [index, value] of response[2].entries()) this.#post([ANSWER, response[1] + index, [value]], names[next++]);
      }
    }
  }

  #post(response: Response, name = 'the method'): void {
    if (this.#isGone) return;
    try {
      this.#port.postMessage([response]);
    } catch (cause) {
      if (response[0] !== ANSWER) throw cause;
      const [, id, [value]] = response;
      const why = isCloneable(value) ? 'cannot be sent' : 'cannot be cloned';
      const message = `pool ${show(this.#pool)}: the result of ${name} ${why} to the caller's thread: ${show(value)}`;
      this.#port.postMessage([[FAILURE, id, toWire(new RemoteCallError(message, this.#pool, { cause }))]]);
    }
  }

  tellFactoryFailure(cell: number, ticket: number, error: unknown): void {
    this.send([FACTORY_FAILURE, cell, ticket, toWire(error)]);
  }

  /** Says nothing any more. */
  end(): void {
    this.#isGone = true;
    this.#port.close();
  }
}
