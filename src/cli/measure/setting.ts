/** What is measured, and for how long. */

export const MODES = ['sync', 'async'] as const;
export type Mode = (typeof MODES)[number];

export const DISTRIBUTIONS = ['fixed', 'exponential'] as const;
export type Distribution = (typeof DISTRIBUTIONS)[number];

export const RIVALS = ['mutex', 'messages', 'piscina'] as const;
export type Rival = (typeof RIVALS)[number];
export type Contestant = 'cenote' | Rival;

/** One point of the sweep: how many threads want how many slots, and how long each keeps one. */
export interface Setting {
  readonly mode: Mode;
  readonly threads: number;
  readonly slots: number;
  /** Microseconds. If the distribution is exponential, the mean. */
  readonly hold: number;
  readonly distribution: Distribution;
}

/** How long each contestant is measured in each setting: `seconds` in all, in so many interleaved rounds. */
export interface Effort {
  readonly seconds: number;
  readonly rounds: number;
}

/** The length of the next hold, in milliseconds. */
export function drawHold({ hold, distribution }: Setting): number {
  const mean = hold / 1000;
  return distribution === 'fixed' ? mean : -Math.log(1 - Math.random()) * mean;
}
