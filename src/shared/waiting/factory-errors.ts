/** What the factory failed with, for those waiters of this thread that were told so and have not collected it yet: kept for exactly as long. */
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

  /** By the waiter whose cell says so, or in its place by whatever ends its wait. `lost`: what to say where there is none, as the block is damaged. */
  take(cell: number, ticket: number, lost: () => unknown): unknown {
    const found = this.#byCell.get(cell);
    this.#byCell.delete(cell);
    return found?.ticket === ticket ? found.error : lost();
  }
}
