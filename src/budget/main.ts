/** cenote/budget: one cap over many processes and hosts, kept by PostgreSQL or Redis. */
import { OwnBudget } from './budget.ts';
import { settingsOf } from './options.ts';
import type { Budget, BudgetOptions } from './types.ts';

export { BudgetError, type BudgetErrorCode } from './errors.ts';
export { budgetSchema, type PostgresBudgetOptions, postgresBudget, type RedisBudgetOptions, redisBudget } from './sources.ts';
export type { Budget, BudgetEngine, BudgetEvents, BudgetMember, BudgetOptions } from './types.ts';

/**
 * Joins the budget with this key, for all pools of this thread that are given it. Rejects with TypeError or RangeError for bad options,
 * and with BudgetError: `ERR_BUDGET_MISMATCH` if members live that say another limit, `ERR_BUDGET_UNREACHABLE` if the engine refuses, or
 * does not answer for about ten seconds (see `onUnreachable`).
 */
export async function createBudget(options: BudgetOptions): Promise<Budget> {
  const budget = new OwnBudget(settingsOf(options));
  await budget.join();
  return budget;
}
