/** What a worker sends to the owner: what may be put together goes in one message, and in the order in which it was asked for. */
import type { MessagePort } from 'node:worker_threads';
import { DEEP, repack, survey, VIEWS } from '../shared/wire/parcel.ts';
import { ALONE, CALL, CALL_ONCE, CALL_SYNC, type Request } from '../shared/wire/protocol.ts';

/** A request with arguments. */
export type CallRequest = Extract<Request, readonly [typeof CALL | typeof CALL_SYNC | typeof CALL_ONCE, ...unknown[]]>;

/** The calls, as far as it matters here. */
interface Refusing {
  /** This call cannot be sent. */
  refuse(request: CallRequest, cause: unknown): void;
}

export class Outbox {
  readonly #port: MessagePort;
  readonly #calls: Refusing;
  #requests: Request[] = [];
  /** Something was sent in this tick already: what comes now is put together behind it. */
  #isGathering = false;

  constructor(port: MessagePort, calls: Refusing) {
    this.#port = port;
    this.#calls = calls;
  }

  /** A call with arguments that no other code has. */
  sendOnce(request: Extract<CallRequest, readonly [typeof CALL_ONCE, ...unknown[]]>, args: unknown[], method: string): void {
    if (secure(args)) this.send(request);
    else this.sendNow(request, args, method);
  }

  /** One more of the run of calls that is about to be sent, or the first of another. */
  sendCall(id: number, slot: number, lease: number, method: string, args: unknown[]): void {
    if (!secure(args)) return this.sendNow([CALL, id, slot, lease, method, [args]], args, method);
    const last = this.#requests.at(-1);
    if (
      last === undefined ||
      last[0] !== CALL ||
      last[1] + last[5].length !== id ||
      last[2] !== slot ||
      last[3] !== lease ||
      last[4] !== method
    )
      return this.send([CALL, id, slot, lease, method, [args]]);
    last[5].push(args);
  }

  /** A call whose arguments may change as soon as its caller goes on. */
  sendNow(request: CallRequest, args: readonly unknown[], method: string): void {
    const found = survey(args);
    let whole = request;
    try {
      if ((found & VIEWS) !== 0) whole = withOwnBytes(request);
    } catch (cause) {
      return this.#calls.refuse(request, cause);
    }
    if ((found & DEEP) === 0) return this.send(whole, true);
    this.send([ALONE, request[1], `${method}()`], true);
    this.send(whole, true);
  }

  /**
   * At once; or if that need not be, and it is not the first such one of this tick, with all of the tick in one message behind that. The
   * first goes ahead as this thread may compute from now on; and where the owner is asleep, what takes longest is to wake it, and meanwhile
   * the others are put together. Order is kept either way.
   */
  send(request: Request, atOnce = false): void {
    this.#requests.push(request);
    if (atOnce || !this.#isGathering) this.flush();
    if (atOnce || this.#isGathering) return;
    this.#isGathering = true;
    // A third of what queueMicrotask costs.
    NOW.then(this.#gathered);
  }

  readonly #gathered = (): void => {
    this.#isGathering = false;
    this.flush();
  };

  flush(): void {
    if (this.#requests.length === 0) return;
    const requests = this.#requests;
    this.#requests = [];
    try {
      this.#port.postMessage(requests);
    } catch {
      // One of them cannot be cloned: the others must not suffer.
      for (const request of requests) this.#post(request);
    }
  }

  #post(request: Request): void {
    if (request[0] === CALL && request[5].length > 1) {
      const [type, first, slot, lease, method, calls] = request;
      for (const [index, args] of calls.entries()) this.#post([type, first + index, slot, lease, method, [args]]);
      return;
    }
    try {
      this.#port.postMessage([request]);
    } catch (cause) {
      if (request[0] !== CALL && request[0] !== CALL_SYNC && request[0] !== CALL_ONCE) throw cause;
      this.#calls.refuse(request, cause);
    }
  }
}

const NOW = Promise.resolve();

/** With exactly the bytes of its views, and a list of those that are Buffers. */
function withOwnBytes(request: CallRequest): CallRequest {
  const buffers: Uint8Array[] = [];
  const parts: unknown[] = [...request];
  const at = request[0] === CALL_ONCE ? 4 : 5;
  parts[at] = repack(parts[at], buffers);
  return [...parts, buffers] as unknown as CallRequest;
}

/**
 * Makes copies where later changes would reach what is to be sent. False if only a clone could do that: then it has to be sent before the
 * caller goes on. So has a Proxy that throws when it is looked at: sending it will say so.
 */
function secure(args: unknown[]): boolean {
  try {
    return copyLists(args);
  } catch {
    return false;
  }
}

function copyLists(args: unknown[]): boolean {
  for (const [index, argument] of args.entries()) {
    if (isImmutable(argument)) continue;
    if (!isPlainList(argument)) return false;
    args[index] = [...argument];
  }
  return true;
}

/** An array of immutable things, of which a shallow copy is all that a clone would be: no holes, no properties besides. */
function isPlainList(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.every(isImmutable) && Object.keys(value).length === value.length;
}

function isImmutable(value: unknown): boolean {
  return value === null || (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol');
}
