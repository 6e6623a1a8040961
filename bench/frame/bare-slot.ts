/**
 * The least that a borrow can be, if it does what a borrow from cenote does: look whether the pool is open and nobody is in line, take the slot, remember the lease, number it so that
 * a second release is found out, count hand-out and return and the uses of the resource, and make the object that is handed out. One slot, one thread, no library around it.
 */
import { PAD } from './permits.ts';

/** Words, a line each. */
const OPEN = 0;
const LINE = PAD;
const SLOT = 2 * PAD;
const USES = SLOT + 1;
/** Floats. */
const ACQUIRED = (3 * PAD) / 2;
const RELEASED = ACQUIRED + 1;

class RemoteHandle {
  readonly slot: number;
  readonly serial: number;

  constructor(slot: number, serial: number) {
    this.slot = slot;
    this.serial = serial;
  }
}

export class BareSlot {
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #leases = new Int32Array(1);
  readonly #serials = new Float64Array(1);
  #begun = 0;
  /** The object leaves the loop, as it does when it is handed to a borrower: else it would never be made. */
  last: RemoteHandle | undefined;

  constructor() {
    const buffer = new SharedArrayBuffer(4 * PAD * Int32Array.BYTES_PER_ELEMENT);
    this.#words = new Int32Array(buffer);
    this.#floats = new Float64Array(buffer);
  }

  acquire(): RemoteHandle {
    const words = this.#words;
    if (words[OPEN] !== 0 || words[LINE] !== 0) throw new Error('closed, or somebody is in line');
    if (Atomics.compareExchange(words, SLOT, 0, 1) !== 0) throw new Error('taken');
    this.#leases[0] = 1;
    this.#serials[0] = ++this.#begun;
    this.#floats[ACQUIRED]++;
    words[USES]++;
    return (this.last = new RemoteHandle(0, this.#begun));
  }

  release({ slot, serial }: RemoteHandle): void {
    if (this.#serials[slot] !== serial) throw new Error('released twice');
    const lease = this.#leases[slot];
    this.#leases[slot] = 0;
    this.#serials[slot] = 0;
    this.#floats[RELEASED]++;
    if (Atomics.compareExchange(this.#words, SLOT, lease, 0) !== lease) throw new Error('not taken');
  }
}
