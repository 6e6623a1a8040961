/** The results of a run: --json prints them, and table and page are made from them. */

import type { Result } from '../measure/summary.ts';
import type { Options } from '../options.ts';
import type { Machine } from './machine.ts';

export interface Report {
  /** The version of cenote, and of Piscina if it took part. */
  readonly cenote: string;
  readonly piscina: string | null;
  readonly machine: Machine;
  /** In ISO 8601. */
  readonly started: string;
  readonly options: Omit<Options, 'json' | 'html' | 'help'>;
  /** SIGINT has ended the run: some settings are missing, or have fewer rounds. */
  readonly interrupted: boolean;
  /** What the reader should know: that a rival is missing, say. */
  readonly notes: readonly string[];
  readonly results: readonly Result[];
}
