/** What a question is, and what it answers. Nothing here but types: threads import it too. */

/** How long to look. */
export interface Effort {
  /** Rounds in which every contender is measured once. */
  readonly rounds: number;
  /** Milliseconds for one contender in one round. */
  readonly slice: number;
}

/** `x` is a ratio by itself, `per 1,000` a share of the operations, `ms/s` CPU time per second. */
export type Unit = 'ns' | 'us' | 'ms/s' | 'KiB' | '/s' | 'max/min' | 'x' | 'per 1,000' | 'connections';

/** In which of them more is better. */
export const isRate = (unit: Unit): boolean => unit === '/s';

/** One line of the table: cenote against one rival, in the same rounds. */
export interface Row {
  readonly question: string;
  readonly unit: Unit;
  readonly cenote: number;
  readonly rival: string;
  readonly figure: number;
  /** cenote / rival, the median over the rounds; with the quartiles, because a median alone does not say how noisy it was. Null where the rival's figure is 0. */
  readonly ratio: number | null;
  readonly quartiles: readonly [number, number] | null;
  /** What it should come to, if anything. */
  readonly goal: string | null;
  readonly met: boolean | null;
}

export interface Question {
  /** For --only. */
  readonly name: string;
  /** What is asked, and of whom: a sentence for --help. */
  readonly asks: string;
  /** Needs more than this process, and takes its time: --quick leaves it out unless it is asked for by name. */
  readonly slow?: boolean;
  run(effort: Effort): Promise<Row[]>;
}
