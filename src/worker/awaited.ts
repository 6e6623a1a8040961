/**
 * The calls that this thread sleeps for, and their answers. More than one, where code that runs while it sleeps (a listener of
 * `lease.signal`, say) sleeps for a call of its own: they end in the opposite order, and an answer may come before its turn.
 */

export type Answer = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

/** No call has this number. */
export const NO_CALL = 0;

export class AwaitedCall {
  readonly id: number;
  readonly slot: number;
  readonly serial: number;
  readonly lease: number;
  /** The one that this thread slept for as this one was made. */
  readonly outer: AwaitedCall | undefined;
  answer: Answer | undefined;

  constructor(id: number, slot: number, serial: number, lease: number, outer: AwaitedCall | undefined) {
    this.id = id;
    this.slot = slot;
    this.serial = serial;
    this.lease = lease;
    this.outer = outer;
  }
}

export class Awaited {
  #innermost: AwaitedCall | undefined;

  begin(id: number, slot: number, serial: number, lease: number): AwaitedCall {
    this.#innermost = new AwaitedCall(id, slot, serial, lease, this.#innermost);
    return this.#innermost;
  }

  /** It is not awaited any more, with an answer or without. Those within it have ended before. */
  end(call: AwaitedCall): void {
    this.#innermost = call.outer;
  }

  find(id: number): AwaitedCall | undefined {
    let call = this.#innermost;
    while (call !== undefined && call.id !== id) call = call.outer;
    return call;
  }

  /** All of them. */
  *[Symbol.iterator](): Generator<AwaitedCall> {
    for (let call = this.#innermost; call !== undefined; call = call.outer) yield call;
  }
}
