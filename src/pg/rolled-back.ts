/** The error of a transaction of which nothing has been written, though its body may not know. */
/** COMMIT was answered with ROLLBACK, or the connection was lost in the middle of what a scope had begun: nothing has been written, whatever the body believes. */
export class TransactionRolledBackError extends Error {
  readonly code = 'ERR_PG_ROLLED_BACK';

  constructor(lastError: Error | undefined, how = 'the server has rolled the transaction back, as a statement in it had failed') {
    super(lastError === undefined ? how : `${how}: ${lastError.message}`, lastError && { cause: lastError });
  }

  static {
    // Not by assignment: where Error.prototype is frozen, that would throw. As text, since a minifier renames classes.
    const name = { value: 'TransactionRolledBackError', configurable: true, writable: true };
    Object.defineProperty(TransactionRolledBackError, 'name', name);
    Object.defineProperty(TransactionRolledBackError.prototype, 'name', name);
  }
}
