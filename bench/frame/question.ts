/** What a question is, and what it answers. Nothing here but types: threads import it too. */

/** How long to look. */
export interface Effort {
  /** Rounds in which every contender is measured once. */
  readonly rounds: number;
  /** Milliseconds for one contender in one round. */
  readonly slice: number;
}

export type Unit = 'ns' | 'us' | '/s' | 'max/min';

/** One line of the table: cenote against one rival, in the same rounds. */
export interface Row {
  readonly question: string;
  readonly unit: Unit;
  readonly cenote: number;
  readonly rival: string;
  readonly figure: number;
  /** cenote / rival, the median over the rounds; with the quartiles, because a median alone does not say how noisy it was. */
  readonly ratio: number;
  readonly quartiles: readonly [number, number];
}

export interface Question {
  /** For --only. */
  readonly name: string;
  /** What is asked, and of whom: a sentence for --list. */
  readonly asks: string;
  run(effort: Effort): Promise<Row[]>;
}
