/**
 * A transaction was rolled back where its body may believe that it was written: COMMIT was answered with ROLLBACK, or the connection was
 * lost in the middle of what a scope had begun. Nothing has been written.
 */
export class TransactionRolledBackError extends Error {
  /** By this it is known on every thread. */
  readonly code = 'ERR_PG_ROLLED_BACK';

  constructor(lastError: Error | undefined, how = 'the server has rolled the transaction back, as a statement in it had failed') {
    super(lastError === undefined ? how : `${how}: ${lastError.message}`, lastError && { cause: lastError });
  }

  static {
    // An assignment would throw where Error.prototype is frozen. The name is given as text, since a minifier renames classes.
    const name = { value: 'TransactionRolledBackError', configurable: true, writable: true };
    Object.defineProperty(TransactionRolledBackError, 'name', name);
    Object.defineProperty(TransactionRolledBackError.prototype, 'name', name);
  }
}
