/** What goes wrong with a budget, with one stable code for each case. */

/** Codes of BudgetError. */
export type BudgetErrorCode =
  | 'ERR_BUDGET_LOST'
  | 'ERR_BUDGET_MISMATCH'
  | 'ERR_BUDGET_UNREACHABLE'
  | 'ERR_BUDGET_IN_USE'
  | 'ERR_BUDGET_CLOSED';

/**
 * A budget says no: `ERR_BUDGET_MISMATCH` (other members say another limit), `ERR_BUDGET_UNREACHABLE` (the engine did not answer, or
 * refused; its error is the `cause`), `ERR_BUDGET_IN_USE` (a pool still has resources), `ERR_BUDGET_CLOSED`, `ERR_BUDGET_LOST` (the `error`
 * of the event 'lost').
 */
export class BudgetError extends Error {
  /** Stable: `ERR_BUDGET_...`. */
  readonly code: BudgetErrorCode;
  /** The budget's key. */
  readonly key: string;

  constructor(code: BudgetErrorCode, key: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.key = key;
  }

  static {
    // As text, since a minifier renames classes.
    Object.defineProperty(BudgetError, 'name', { value: 'BudgetError', configurable: true });
    Object.defineProperty(BudgetError.prototype, 'name', { value: 'BudgetError', configurable: true, writable: true });
  }
}

/** The engine will say no again and again: a wrong password, a missing permission, a missing package. It carries what the engine said. */
export class RefusedError extends Error {
  constructor(message: string, cause: unknown) {
    super(message, { cause });
  }
}
