/** What the benchmark asks of every way of lending. */
import type { TransferListItem } from 'node:worker_threads';
import type { Scoreboard } from '../measure/scoreboard.ts';
import type { Contestant } from '../measure/setting.ts';

/** A contestant that is set up for one setting, on the main thread. */
export interface Arena {
  readonly contestant: Contestant;
  readonly scoreboard: Scoreboard;
  /** All threads work from here until `stop` of the scoreboard. Settles when all have stopped. */
  work(): Promise<void>;
  close(): Promise<void>;
}

/** Lends to threads that ask for it themselves. It is on the main thread. */
export interface Lender {
  /** What a thread needs in order to join, and which parts of that are moved there. */
  invite(thread: number): { readonly data: unknown; readonly transfer?: readonly TransferListItem[] };
  close(): void | Promise<void>;
}

/** The lender as one thread has it. `acquire` gives the number of a slot: at once in the mode sync, else perhaps as a promise. */
export interface Borrowing {
  acquire(): number | Promise<number>;
  release(slot: number): void;
  leave(): void | Promise<void>;
}
