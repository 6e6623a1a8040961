/** The call that this thread sleeps for, and its answer. */

export type Answer = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

/** No call has this number. */
export const NO_CALL = 0;

export class Awaited {
  id = NO_CALL;
  slot = 0;
  #answer: Answer | undefined;

  begin(id: number, slot: number): void {
    this.id = id;
    this.slot = slot;
    this.#answer = undefined;
  }

  /** Its answer: it is not awaited any more. */
  settle(answer: Answer): void {
    this.#answer = answer;
    this.id = NO_CALL;
  }

  /** Its answer, once. */
  take(): Answer | undefined {
    const answer = this.#answer;
    this.#answer = undefined;
    return answer;
  }
}
