// A strategy as plain data, since every thread makes its own view of it.
import type { Strategy } from '../choice.ts';
import { Exhaustive, type ExhaustiveOptions } from './exhaustive.ts';
import { Random, type RandomOptions } from './random.ts';
import { Replay, type ReplayOptions } from './replay.ts';

export type Plan =
  | ({ readonly kind: 'exhaustive' } & ExhaustiveOptions)
  | ({ readonly kind: 'random' } & RandomOptions)
  | ({ readonly kind: 'replay' } & ReplayOptions);

export const exhaustive = (options: ExhaustiveOptions = {}): Plan => ({ kind: 'exhaustive', ...options });
export const random = (options: RandomOptions): Plan => ({ kind: 'random', ...options });

export function strategyFor(plan: Plan, state: Int32Array): Strategy {
  switch (plan.kind) {
    case 'exhaustive':
      return new Exhaustive(state, plan);
    case 'random':
      return new Random(state, plan);
    case 'replay':
      return new Replay(state, plan);
  }
}
