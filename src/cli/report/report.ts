/** All that a run has found out: what --json prints, and what table and page are made from. */

import type { Result } from '../measure/summary.ts';
import type { Options } from '../options.ts';
import type { Machine } from './machine.ts';

export interface Report {
  /** Version of cenote; and of Piscina, if it took part. */
  readonly cenote: string;
  readonly piscina: string | null;
  readonly machine: Machine;
  /** ISO 8601. */
  readonly started: string;
  readonly options: Omit<Options, 'json' | 'html' | 'help'>;
  /** Ended by SIGINT: some settings are missing, or have fewer rounds. */
  readonly interrupted: boolean;
  /** What the reader should know: a rival that is missing, say. */
  readonly notes: readonly string[];
  readonly results: readonly Result[];
}
