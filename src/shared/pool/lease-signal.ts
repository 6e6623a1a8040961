/** `lease.signal`: made when it is first asked for, and aborted once, with the first reason. */
import { AbortController } from '../node.ts';
import type { Lease } from '../types.ts';

export class LeaseSignal {
  readonly serial: number;
  #controller: AbortController | undefined;
  #reason: Error | undefined;

  constructor(serial: number) {
    this.serial = serial;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** The lease that it is the signal of. */
  lease<R>(resource: R, ways: Omit<Lease<R>, 'resource' | 'signal'>): Lease<R> {
    return Object.assign(new Leased(resource, this), ways);
  }

  abort(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}

/** A getter of each lease's own would give each a hidden class of its own, which lives until V8's next full collection. */
class Leased<R> {
  readonly resource: R;
  readonly #signal: LeaseSignal;

  constructor(resource: R, signal: LeaseSignal) {
    this.resource = resource;
    this.#signal = signal;
  }

  get signal(): AbortSignal {
    return this.#signal.signal;
  }
}
