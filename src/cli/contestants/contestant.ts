/** What a way of lending is to the benchmark. */
import type { TransferListItem } from 'node:worker_threads';
import type { Ledger } from '../measure/scoreboard.ts';
import type { Contestant } from '../measure/setting.ts';

/** A contestant, set up for one setting; on the main thread. */
export interface Arena {
  readonly contestant: Contestant;
  readonly ledger: Ledger;
  /** Everybody works from here until `stop` of the ledger; settles when all have stopped. */
  work(): Promise<void>;
  close(): Promise<void>;
}

/** Lends to threads that ask for it themselves; on the main thread. */
export interface Lender {
  /** What a thread gets to know. What is to move over there, too. */
  invite(thread: number): { readonly data: unknown; readonly transfer?: readonly TransferListItem[] };
  close(): void | Promise<void>;
}

/** The same, as one thread has it. `acquire` gives a number of a slot: in the mode sync at once, else it may be a promise. */
export interface Borrowing {
  acquire(): number | Promise<number>;
  release(slot: number): void;
  leave(): void | Promise<void>;
}
