/**
 * How many resources there may be, and must be: words that the owner moves while the pool runs, and that all threads read. Nothing that
 * borrows or gives back without a wait looks at them; a thread that makes one, or finds none, does.
 *
 * EXTENT bounds each search: slots from there on are EMPTY. The owner raises it before it makes something there, and lowers it only past
 * slots that are EMPTY, which it alone moves. So a search up to an EXTENT read before that misses nothing that was idle when the search
 * began.
 */
import { EXTENT_WORD, LIMIT_WORD, MIN_WORD } from '../layout.ts';
import { EMPTY, type Slots, slotState } from './slot.ts';

export class Limits {
  readonly #words: Int32Array;
  readonly #slots: Slots;
  /** The owner's own copy, as it has set them: the words may be damaged. */
  #own: { min: number; max: number; extent: number } | undefined;

  constructor(words: Int32Array, slots: Slots) {
    this.#words = words;
    this.#slots = slots;
  }

  /** Most resources at once, now. */
  get max(): number {
    return Atomics.load(this.#words, LIMIT_WORD);
  }

  /** Resources to keep up, now. */
  get min(): number {
    return Atomics.load(this.#words, MIN_WORD);
  }

  // ── the owner only

  set(min: number, max: number): void {
    // The first time nothing is known of the slots: `impose` looks.
    this.#own = { min, max, extent: Math.max(max, this.#own?.extent ?? this.#slots.count) };
    this.impose();
  }

  /** Writes the words anew, whatever else may have written there, and lets EXTENT go down as far as it may. */
  impose(): void {
    const own = this.#own;
    if (own === undefined) return;
    while (own.extent > own.max && slotState(this.#slots.load(own.extent - 1)) === EMPTY) own.extent--;
    this.#store(EXTENT_WORD, own.extent);
    this.#store(LIMIT_WORD, own.max);
    this.#store(MIN_WORD, own.min);
  }

  /** A line that no thread writes stays in every thread's cache. */
  #store(word: number, value: number): void {
    if (this.#words[word] !== value) Atomics.store(this.#words, word, value);
  }
}
