/** `lease.signal`: made when it is first asked for, and aborted once, with the first reason. */
import { AbortController } from '../node.ts';

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

  abort(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}
