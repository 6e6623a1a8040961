/** The prepared statements of one connection: which text has which name, and which was used least recently. */

export class Statements {
  readonly #size: number;
  /** Names by text; the text that was used least recently comes first. */
  readonly #names = new Map<string, string>();
  /** Statements that are prepared on the server, and to be deallocated when it is a good time. */
  #garbage: string[] = [];
  #last = 0;

  constructor(size: number) {
    this.#size = size;
  }

  get isOn(): boolean {
    return this.#size > 0;
  }

  /** The name for a text, new or old. A statement that has to make room for it becomes garbage. */
  name(text: string): string {
    const name = this.#names.get(text) ?? `cenote_${++this.#last}`;
    this.#names.delete(text);
    this.#names.set(text, name);
    if (this.#names.size > this.#size) {
      const [oldest, evicted] = this.#names.entries().next().value!;
      this.#names.delete(oldest);
      this.#garbage.push(evicted);
    }
    return name;
  }

  /** The server's statement of this name is of no use any more; its text gets another name. */
  discard(name: string): void {
    for (const [text, each] of this.#names) if (each === name) this.#names.delete(text);
    if (!this.#garbage.includes(name)) this.#garbage.push(name);
  }

  /** The text was not prepared after all. */
  forget(name: string): void {
    for (const [text, each] of this.#names) if (each === name) this.#names.delete(text);
  }

  get hasGarbage(): boolean {
    return this.#garbage.length > 0;
  }

  takeGarbage(): string[] {
    const garbage = this.#garbage;
    this.#garbage = [];
    return garbage;
  }

  /** The server has forgotten all of them. */
  clear(): void {
    this.#names.clear();
    this.#garbage = [];
  }
}
