/**
 * On the owner: a borrower speaks to the server in the protocol, over this thread. It begins when it is the borrower's turn, and ends when
 * the server is ready for something else. What the server says goes to the borrower in parts, each when it is asked for.
 */

import type { Wire } from '../driver/wire.ts';
import { type Packed, packed } from '../messages/frames.ts';

export interface Part {
  readonly bytes: Packed;
  /** The conversation goes on: the borrower has to ask for more. */
  readonly more: boolean;
}

const NOTHING: Part = { bytes: '', more: false };

export class Conversation {
  /** The borrower's name for it. */
  readonly name: string;
  readonly #wire: Wire;
  #listener: ((part: Part) => void) | undefined;
  #whenAsked: (() => void) | undefined;
  /** What came last, if no borrower has asked for it yet. */
  #last: Part | undefined;
  #isAbandoned = false;
  #isOver = false;

  constructor(name: string, wire: Wire) {
    this.#wire = wire;
    this.name = name;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Begins with these bytes, which the wire has read. `first` hears the first part, unless it is the last one, which is what this gives.
   */
  async run(bytes: Buffer, isWhole: boolean, first: (part: Part) => void): Promise<Part | undefined> {
    const wire = this.#wire;
    wire.lend(isWhole);
    wire.say(bytes);
    if (this.#isAbandoned) wire.abandon();
    let isFirst = true;
    this.#listener = first;
    for (;;) {
      if (this.#listener === undefined && !this.#isAbandoned)
        await new Promise<void>((resolve) => {
          this.#whenAsked = resolve;
        });
      const pieces = await wire.heard();
      const part = pieces.length === 0 && !wire.isLent ? NOTHING : { bytes: packed(pieces), more: wire.isLent };
      const listener = this.#listener;
      this.#listener = undefined;
      if (part.more) listener?.(part);
      else {
        this.#isOver = true;
        if (isFirst) return part;
        if (listener === undefined) this.#last = part;
        else listener(part);
        return undefined;
      }
      isFirst = false;
    }
  }

  /** Says more. It goes to the server at once. */
  say(bytes: Buffer): void {
    if (!this.#isOver && !this.#isAbandoned) this.#wire.say(bytes);
  }

  /** The next part. */
  hear(): Promise<Part> {
    if (this.#isOver) {
      const last = this.#last ?? NOTHING;
      this.#last = undefined;
      return Promise.resolve(last);
    }
    return new Promise((resolve) => {
      // One at a time hears: the one before is told that there was nothing for it.
      this.#listener?.({ bytes: '', more: true });
      this.#listener = resolve;
      this.#ask();
    });
  }

  /** The borrower says nothing more, and need not hear the rest. Throws if it left in the middle of a message. */
  abandon(): void {
    if (this.#isOver || this.#isAbandoned) return;
    this.#isAbandoned = true;
    this.#ask();
    this.#wire.abandon();
  }

  #ask(): void {
    const asked = this.#whenAsked;
    this.#whenAsked = undefined;
    asked?.();
  }
}
