/** `lease.signal`: made when it is first asked for, and aborted once, with the first reason. And those of all leases of a thread. */
import { AbortController, queueMicrotask } from '../node.ts';
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

/**
 * Listeners of a signal are the program's, and may borrow, give back, call and sleep. So none is called where a borrow or a return of
 * their thread is half done: what comes to light there is told soon afterwards.
 */
export class LeaseSignals {
  /** By slot, of the last `lease()` there. */
  readonly #signals = new Map<number, LeaseSignal>();
  #isPuttingOff = false;
  #due: (() => void)[] = [];

  add(slot: number, signal: LeaseSignal): void {
    this.#signals.set(slot, signal);
  }

  /** The lease with this serial is to end, or has ended. */
  abort(slot: number, serial: number, reason: Error): void {
    const signal = this.#signals.get(slot);
    if (signal?.serial !== serial) return;
    if (!this.#isPuttingOff) return signal.abort(reason);
    if (this.#due.push(() => signal.abort(reason)) === 1) queueMicrotask(() => this.tell());
  }

  /** What `body` aborts is told when this thread comes to its microtasks, or before, when it sleeps: see `tell`. */
  puttingOff<V>(body: () => V): V {
    const before = this.#isPuttingOff;
    this.#isPuttingOff = true;
    try {
      return body();
    } finally {
      this.#isPuttingOff = before;
    }
  }

  /** Now nothing is half done: tells what was put off. */
  tell(): void {
    while (this.#due.length > 0) this.#due.shift()?.();
  }
}
