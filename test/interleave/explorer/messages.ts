// Between the main thread and the explorer's threads. Everything during a run goes through shared memory (control.ts) instead.
import type { Control } from './control.ts';
import type { Plan } from './strategies/index.ts';
import type { TraceRecord } from './trace.ts';

/** Where the code under test is imported from. */
export interface Base {
  /** URL of a folder that looks like src/. */
  readonly root: string;
  readonly extension: '.js' | '.ts';
}

export type Request =
  /** Import the scenario and the code under test. */
  | { readonly type: 'load'; readonly file: string; readonly name: string; readonly base: Base; readonly me: number }
  /** Make the initial state. */
  | { readonly type: 'setup' }
  /** Take this as the initial state. */
  | { readonly type: 'attach'; readonly shared: unknown }
  /** Explore. */
  | { readonly type: 'run'; readonly control: Control; readonly plan: Plan; readonly traced: boolean };

export type Reply =
  | { readonly type: 'ready' }
  | { readonly type: 'shared'; readonly shared: unknown }
  | { readonly type: 'over'; readonly failed: { message: string; stack: string } | undefined; readonly records: readonly TraceRecord[] }
  | { readonly type: 'broken'; readonly message: string; readonly stack: string };
