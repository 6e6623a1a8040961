/** Remote calls as the caller sees them: a number for each, what to do with its answer, and the port they go through. */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { Bells } from '../shared/bell.ts';
import { now } from '../shared/clock.ts';
import { fromWire, isCloneable, RemoteCallError, show } from '../shared/errors.ts';
import type { KeepAlive } from '../shared/keep-alive.ts';
import type { Lending } from '../shared/lending.ts';
import { ANSWER, CALL, CALL_SYNC, FAILURE, type Request, type Response } from '../shared/protocol.ts';

/** How long a synchronous call watches its bell before it sleeps, in ms: an owner with nothing else to do answers within that. */
const SPIN = 0.05;
/** A sleeper looks up this often whether there is still an owner, in ms. */
const SLICE = 250;

interface PendingCall {
  readonly slot: number;
  readonly serial: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

type Answer = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

export class Calls {
  readonly #pool: string;
  readonly #port: MessagePort;
  readonly #bells: Bells;
  readonly #me: number;
  readonly #keepAlive: KeepAlive;
  /** Everything that is not an answer. */
  readonly #receive: (response: Response) => void;
  readonly #pending = new Map<number, PendingCall>();
  readonly #lending: Lending;
  /** Calls under way of the present lease, by slot. */
  readonly #underWay: Int32Array;
  #outbox: Request[] = [];
  #lastId = 0;
  #awaited = 0;
  #answer: Answer | undefined;

  constructor(
    pool: string,
    port: MessagePort,
    bells: Bells,
    lending: Lending,
    keepAlive: KeepAlive,
    receive: (response: Response) => void,
  ) {
    this.#pool = pool;
    this.#port = port;
    this.#bells = bells;
    this.#me = lending.me;
    this.#lending = lending;
    this.#underWay = new Int32Array(lending.held.length);
    this.#keepAlive = keepAlive;
    this.#receive = receive;
  }

  /** Calls of the present lease of a slot that have not been answered yet. */
  underWay(slot: number): number {
    return this.#underWay[slot];
  }

  /** That lease is over: what is still under way counts for nobody. */
  forget(slot: number): void {
    this.#underWay[slot] = 0;
  }

  /** On what this thread has borrowed in that slot. */
  call(slot: number, method: string, args: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#pending.set(id, { slot, serial: this.#lending.serials[slot], resolve, reject });
      this.#keepAlive.hold();
      this.#underWay[slot]++;
      const copied = copyOf(args);
      this.send([CALL, id, slot, this.#lending.held[slot], method, copied ?? args], copied === undefined);
    });
  }

  /** Blocks this thread until the owner has answered. `assertOwnerAlive` is asked now and then, and may throw. */
  callSync(slot: number, method: string, args: readonly unknown[], assertOwnerAlive: () => void): unknown {
    const id = ++this.#lastId;
    this.#awaited = id;
    this.#answer = undefined;
    this.send([CALL_SYNC, id, slot, this.#lending.held[slot], method, args], true);
    for (;;) {
      const seen = this.#bells.read(this.#me);
      this.drain();
      const answer = this.#answer as Answer | undefined;
      if (answer !== undefined) {
        this.#answer = undefined;
        if (answer.ok) return answer.value;
        throw answer.error;
      }
      const end = now() + SPIN;
      while (this.#bells.read(this.#me) === seen && now() < end);
      this.#bells.sleep(this.#me, seen, SLICE);
      if (this.#bells.read(this.#me) === seen) assertOwnerAlive();
    }
  }

  // ── sending

  /** Goes with everything else of this tick in one message, or at once. Order is kept either way. */
  send(request: Request, atOnce = false): void {
    this.#outbox.push(request);
    if (atOnce) this.flush();
    else if (this.#outbox.length === 1) queueMicrotask(() => this.flush());
  }

  flush(): void {
    if (this.#outbox.length === 0) return;
    const requests = this.#outbox;
    this.#outbox = [];
    try {
      this.#port.postMessage(requests);
    } catch {
      // One of them cannot be cloned: the others must not suffer.
      for (const request of requests) this.#post(request);
    }
  }

  #post(request: Request): void {
    try {
      this.#port.postMessage([request]);
    } catch (cause) {
      if (request[0] !== CALL && request[0] !== CALL_SYNC) throw cause;
      const [, id, , , method, args] = request;
      const index = args.findIndex((argument) => !isCloneable(argument));
      const error = new RemoteCallError(
        `pool ${show(this.#pool)}: argument ${index + 1} of ${method}() cannot be cloned to the owner's thread: ${show(args[index])}`,
        this.#pool,
        { cause },
      );
      this.#settle(id, { ok: false, error });
    }
  }

  // ── receiving

  /** Takes what lies in the port without waiting for the event loop. */
  drain(): void {
    for (let got = receiveMessageOnPort(this.#port); got !== undefined; got = receiveMessageOnPort(this.#port)) this.receive(got.message);
  }

  receive(responses: readonly Response[]): void {
    for (const response of responses) {
      switch (response[0]) {
        case ANSWER:
          this.#settle(response[1], { ok: true, value: response[2] });
          break;
        case FAILURE:
          this.#settle(response[1], { ok: false, error: fromWire(response[2]) });
          break;
        default:
          this.#receive(response);
      }
    }
  }

  /** An answer that nobody waits for (any more) is dropped. */
  #settle(id: number, answer: Answer): void {
    if (id === this.#awaited) {
      this.#answer = answer;
      this.#awaited = 0;
      return;
    }
    const call = this.#pending.get(id);
    if (call === undefined) return;
    this.#pending.delete(id);
    this.#keepAlive.letGo();
    if (this.#lending.serials[call.slot] === call.serial) this.#underWay[call.slot]--;
    if (answer.ok) call.resolve(answer.value);
    else call.reject(answer.error);
  }

  /** Nobody will answer any more. */
  abandon(error: () => unknown): void {
    for (const id of [...this.#pending.keys()]) this.#settle(id, { ok: false, error: error() });
  }

  /**
   * Is the other end still there? For a thread that does not get to its 'close' event. What is in the port is taken first; then we offer the port for
   * transfer together with something that cannot be cloned. That always fails, and says "detached" if the other end has gone.
   */
  isConnected(): boolean {
    this.drain();
    try {
      PROBE.port1.postMessage(() => {}, [this.#port]);
    } catch (error) {
      return !/detached/.test((error as Error).message);
    }
    return true;
  }
}

/** Both ends are kept: a channel whose other end is collected is closed. */
const PROBE = new MessageChannel();

/** A copy that later changes do not reach, or undefined if only a clone could do that: then it has to be sent before the caller goes on. */
function copyOf(args: readonly unknown[]): readonly unknown[] | undefined {
  const copy: unknown[] = [];
  for (const argument of args) {
    if (isImmutable(argument)) copy.push(argument);
    else if (isPlainList(argument)) copy.push([...argument]);
    else return undefined;
  }
  return copy;
}

/** An array of immutable things, of which a shallow copy is all that a clone would be: no holes, no properties besides. */
function isPlainList(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.every(isImmutable) && Object.keys(value).length === value.length;
}

function isImmutable(value: unknown): boolean {
  return value === null || (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol');
}
