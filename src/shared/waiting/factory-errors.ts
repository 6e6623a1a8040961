/** Errors of the factory for the waiters of this thread that were failed with one: each is kept until its waiter has collected it. */
export class FactoryErrors {
  readonly #byCell = new Map<number, { readonly ticket: number; readonly error: unknown }>();

  /** For the waiter with this ticket. Before its cell says that it was failed. */
  set(cell: number, ticket: number, error: unknown): void {
    this.#byCell.set(cell, { ticket, error });
  }

  /** It was not failed after all. */
  delete(cell: number, ticket: number): void {
    if (this.#byCell.get(cell)?.ticket === ticket) this.#byCell.delete(cell);
  }

  /**
   * By the waiter that was failed, or in its place by what ends its wait. `lost`:
   * the message if there is no error, as the block is damaged.
   */
  take(cell: number, ticket: number, lost: () => unknown): unknown {
    const found = this.#byCell.get(cell);
    this.#byCell.delete(cell);
    return found?.ticket === ticket ? found.error : lost();
  }
}
