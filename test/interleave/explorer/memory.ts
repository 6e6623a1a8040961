// The shared memory of a scenario: found in what its setup gave, put back to what setup left before each schedule, and named for the trace.
import type { AnyInts } from './scenario.ts';

/** A word of shared memory: number of its buffer and byte offset in one number. */
export type Place = number;
const BUFFER_BITS = 24;
export const NOWHERE: Place = -1;

export class Memory {
  readonly #buffers: SharedArrayBuffer[];
  readonly #bytes: Uint8Array[];
  readonly #initial: Uint8Array[];
  readonly #saved: Uint8Array[];
  #last: ArrayBufferLike | undefined;
  #lastNumber = -1;

  constructor(shared: unknown) {
    this.#buffers = [...buffersIn(shared)];
    this.#bytes = this.#buffers.map((buffer) => new Uint8Array(buffer));
    this.#initial = this.#bytes.map((bytes) => bytes.slice());
    this.#saved = this.#bytes.map((bytes) => bytes.slice());
  }

  /** Where an element is, or NOWHERE if it is not in memory that the threads share. */
  place(view: AnyInts, index: number): Place {
    const { buffer } = view;
    if (buffer !== this.#last) {
      this.#last = buffer;
      this.#lastNumber = this.#buffers.indexOf(buffer as SharedArrayBuffer);
    }
    return this.#lastNumber < 0 ? NOWHERE : (this.#lastNumber << BUFFER_BITS) | (view.byteOffset + index * view.BYTES_PER_ELEMENT);
  }

  /** As setup left it. */
  reset(): void {
    for (let i = 0; i < this.#bytes.length; i++) this.#bytes[i].set(this.#initial[i]);
  }

  save(): void {
    for (let i = 0; i < this.#bytes.length; i++) this.#saved[i].set(this.#bytes[i]);
  }

  /** As it was at `save`: what a dying thread's `finally` blocks wrote never happened. */
  restore(): void {
    for (let i = 0; i < this.#bytes.length; i++) this.#bytes[i].set(this.#saved[i]);
  }
}

/** In the order of a walk, which is the same on every thread, so that their numbers agree. */
function buffersIn(value: unknown, found = new Set<SharedArrayBuffer>(), seen = new Set<unknown>()): Set<SharedArrayBuffer> {
  if (typeof value !== 'object' || value === null || seen.has(value)) return found;
  seen.add(value);
  if (value instanceof SharedArrayBuffer) found.add(value);
  else if (ArrayBuffer.isView(value)) buffersIn(value.buffer, found, seen);
  else for (const part of Object.values(value)) buffersIn(part, found, seen);
  return found;
}
