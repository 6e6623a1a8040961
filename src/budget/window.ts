/** The highest of what was seen lately. */
export class WindowMax {
  readonly #span: number;
  /** Falling values, so that the first is the highest. */
  readonly #seen: { readonly at: number; readonly value: number }[] = [];

  /** `span`: in ms. */
  constructor(span: number) {
    this.#span = span;
  }

  /** Notes a value, and gives the highest of the last `span`. */
  see(at: number, value: number): number {
    while (this.#seen.length > 0 && this.#seen.at(-1)!.value <= value) this.#seen.pop();
    this.#seen.push({ at, value });
    while (at - this.#seen[0].at > this.#span) this.#seen.shift();
    return this.#seen[0].value;
  }
}
