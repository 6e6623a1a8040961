/** Where a thread has borrowed what it has, for leak warnings. */

/**
 * One stack for each slot, of the last hand-out there: memory does not grow with the hand-outs. A stack is kept as V8 took it and written
 * out when it is asked for, because writing it out costs many times what taking it does, and hardly any hand-out is ever asked about.
 */
export class Traces {
  readonly #taken: ({ readonly lease: number; readonly at: Error } | undefined)[];

  constructor(slots: number) {
    this.#taken = new Array(slots).fill(undefined);
  }

  note(slot: number, lease: number, at: Error): void {
    this.#taken[slot] = { lease, at };
  }

  /** The stack of exactly this lease. */
  stackOf(slot: number, lease: number): string | undefined {
    const taken = this.#taken[slot];
    return taken?.lease === lease ? written(taken.at) : undefined;
  }
}

/** As text. Undefined where a program's own Error.prepareStackTrace makes something else of it, or throws. */
export function written(at: Error): string | undefined {
  try {
    const { stack } = at;
    return typeof stack === 'string' ? stack : undefined;
  } catch {
    return undefined;
  }
}
