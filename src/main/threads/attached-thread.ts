/** An attached thread as the owner sees it: its port, and its calls under way. */
import type { MessagePort } from 'node:worker_threads';
import { RemoteCallError } from '../../shared/errors.ts';
import { clearTimeout, queueMicrotask, setTimeout } from '../../shared/node.ts';
import { show } from '../../shared/show.ts';
import { isCloneable, toWire } from '../../shared/wire/error-wire.ts';
import { DEEP, PLAIN, repack, survey, VIEWS, withOwnBytes } from '../../shared/wire/parcel.ts';
import { ALONE, ANSWER, FACTORY_FAILURE, FAILURE, LOST, type Response, WHERE } from '../../shared/wire/protocol.ts';
import type { Bells } from '../../shared/words/bell.ts';
import { isThenable } from '../resources/hooks.ts';

/**
 * How long a thread may take to say where it has borrowed a resource, in ms.
 * A thread that sleeps in line or in a call looks at its port more often.
 */
const TIME_TO_SAY = 2000;

interface UnderWay {
  readonly lease: number;
  calls: number;
  readonly whenSettled: (() => void)[];
  /** Calls that have not been answered. */
  readonly open: Set<OpenCall>;
}

interface OpenCall {
  readonly id: number;
  readonly isSync: boolean;
  readonly name: string;
}

export class AttachedThread {
  readonly thread: number;
  readonly threadId: number;
  readonly #pool: string;
  readonly #port: MessagePort;
  readonly #bells: Bells;
  /** By slot: the calls that its present lease is running. */
  readonly #underWay = new Map<number, UnderWay>();
  #outbox: Response[] = [];
  /** The methods whose answers are in the outbox, for error messages. */
  #names: string[] = [];
  /** The call that is the next message, and all of it. */
  #alone: { readonly id: number; readonly name: string } | undefined;
  /** What its thread has been asked and has not answered yet: gets the stack, or undefined. */
  readonly #questions = new Map<number, (stack: string | undefined) => void>();
  #lastQuestion = 0;
  #isGone = false;

  constructor(pool: string, thread: number, threadId: number, port: MessagePort, bells: Bells) {
    this.#pool = pool;
    this.thread = thread;
    this.threadId = threadId;
    this.#port = port;
    this.#bells = bells;
  }

  // ── calls

  /** The next message is this call, and nothing else. Undefined: it may be anything. */
  expect(alone: { readonly id: number; readonly name: string } | undefined): void {
    this.#alone = alone;
  }

  /** A message has come that this thread cannot read. Its sender may be asleep. */
  unreadable(): void {
    const alone = this.#alone;
    this.#alone = undefined;
    if (alone === undefined) this.send([LOST]);
    else {
      const what = `the arguments of ${alone.name} cannot be read by the owner's thread: nested too deeply for its stack, or too large`;
      this.send([FAILURE, alone.id, toWire(new RemoteCallError(`pool ${show(this.#pool)}: ${what}`, this.#pool))]);
    }
    this.#bells.ring(this.thread);
  }

  /** Runs a method and sends the answer: with everything else of this tick, or at once if the caller sleeps until it comes. */
  run(id: number, slot: number, lease: number, name: string, isSync: boolean, method: () => unknown): void {
    const underWay = this.#enter(slot, lease);
    const call: OpenCall = { id, isSync, name };
    underWay.open.add(call);
    const settle = (response: Response): void => {
      if (underWay.open.delete(call)) this.answer(response, isSync, name);
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

  /** What of this lease has no answer gets this one: its methods may run on, but their callers wait no longer. */
  giveUp(slot: number, lease: number, error: Error): void {
    const underWay = this.#underWay.get(slot);
    if (underWay?.lease !== lease) return;
    for (const { id, isSync, name } of underWay.open) this.answer([FAILURE, id, toWire(error)], isSync, name);
    underWay.open.clear();
  }

  /**
   * The slot has been taken from this lease, and its callers have been told. Its methods may never settle: they are waited for no longer,
   * and have no answers.
   */
  taken(slot: number, lease: number): void {
    const underWay = this.#underWay.get(slot);
    if (underWay?.lease !== lease) return;
    this.#underWay.delete(slot);
    underWay.open.clear();
    for (const then of underWay.whenSettled.splice(0)) then();
  }

  /** Something more is under way in this lease, until what this gives is called. */
  enter(slot: number, lease: number): () => void {
    const entered = this.#enter(slot, lease);
    return () => this.#settled(slot, entered);
  }

  #enter(slot: number, lease: number): UnderWay {
    let underWay = this.#underWay.get(slot);
    if (underWay?.lease !== lease) {
      underWay = { lease, calls: 0, whenSettled: [], open: new Set() };
      this.#underWay.set(slot, underWay);
    }
    underWay.calls++;
    return underWay;
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

  /** `name` is the method with its brackets, for error messages. */
  answer(response: Response, isSync: boolean, name: string): void {
    if (this.#isGone) return;
    const found = response[0] === ANSWER ? survey(response[2][0]) : response[0] === FAILURE ? survey(response[2]) & VIEWS : PLAIN;
    if (found === PLAIN && !isSync) this.#gather(response, name);
    else this.#answerNow(found, response, isSync, name);
  }

  #answerNow(found: number, response: Response, isSync: boolean, name: string): void {
    const isDeep = (found & DEEP) !== 0;
    // In order, behind what was gathered; a sleeper waits for nothing else.
    if (isDeep) {
      this.flush();
      this.#post([ALONE, response[1] as number, name]);
    }
    const whole = (found & VIEWS) === 0 ? response : this.#withOwnBytes(response, name);
    if (isSync || isDeep) this.#post(whole, name);
    else this.#gather(whole, name);
    if (isSync) this.#bells.ring(this.thread);
  }

  #withOwnBytes(response: Response, name: string): Response {
    const buffers: Uint8Array[] = [];
    try {
      return [response[0], response[1], repack(response[2], buffers), buffers] as unknown as Response;
    } catch (cause) {
      return this.#unsendable(response[1] as number, response[2], name, cause);
    }
  }

  #gather(response: Response, name: string): void {
    this.#names.push(name);
    const last = this.#outbox.at(-1);
    // A run of answers is one, like a run of calls. Those with Buffers in them stay by themselves: each is sent with its own.
    if (
      last?.[0] === ANSWER &&
      last[3] === undefined &&
      response[0] === ANSWER &&
      response[3] === undefined &&
      last[1] + last[2].length === response[1]
    )
      last[2].push(response[2][0]);
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
        if (response[0] !== ANSWER || response[3] !== undefined) this.#post(response, names[next++]);
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
      this.#port.postMessage([this.#unsendable(response[1], response[2][0], name, cause)]);
    }
  }

  #unsendable(id: number, value: unknown, name: string, cause: unknown): Response {
    const why = isCloneable(value) ? 'cannot be sent' : 'cannot be cloned';
    const message = `pool ${show(this.#pool)}: the result of ${name} ${why} to the caller's thread: ${show(value)}`;
    return [FAILURE, id, toWire(new RemoteCallError(message, this.#pool, { cause }))];
  }

  tellFactoryFailure(cell: number, ticket: number, error: unknown): void {
    const buffers: Uint8Array[] = [];
    const wire = withOwnBytes(toWire(error), buffers);
    this.send([FACTORY_FAILURE, cell, ticket, wire, buffers]);
  }

  // ── asking

  /**
   * The stack of where the thread borrowed this lease, or (`slot` is NONE) asked for the one-shot call of that number. Only that thread
   * knows, and it may be busy: undefined if it has not answered within TIME_TO_SAY, or has gone.
   */
  where(slot: number, lease: number, then: (stack: string | undefined) => void): void {
    if (this.#isGone) return then(undefined);
    const question = ++this.#lastQuestion;
    const timer = setTimeout(() => this.told(question, undefined), TIME_TO_SAY).unref();
    this.#questions.set(question, (stack) => {
      clearTimeout(timer);
      then(stack);
    });
    this.send([WHERE, question, slot, lease]);
  }

  /** The first answer counts, and only to what was asked. */
  told(question: number, stack: string | undefined): void {
    const then = this.#questions.get(question);
    this.#questions.delete(question);
    then?.(stack);
  }

  /** Says nothing any more, and hears nothing. */
  end(): void {
    this.#isGone = true;
    this.#port.close();
    for (const question of [...this.#questions.keys()]) this.told(question, undefined);
  }
}
