/** How many resources were destroyed for which reason: a word for each, written by the owner, read by all. */

/** In the order of their words. */
export const DESTROY_REASONS = [
  'closed',
  'unhealthy',
  'rejected-on-acquire',
  'rejected-on-release',
  'destroyed',
  'idle-timeout',
  'max-lifetime',
  'max-uses',
  'orphaned',
  'recycled',
  'revoked',
  'resized',
  'suspended',
] as const;

export class Reasons {
  readonly #words: Int32Array;
  readonly #base: number;

  constructor(words: Int32Array, base: number) {
    this.#words = words;
    this.#base = base;
  }

  add(reason: (typeof DESTROY_REASONS)[number]): void {
    this.#words[this.#base + DESTROY_REASONS.indexOf(reason)]++;
  }

  read(reason: (typeof DESTROY_REASONS)[number]): number {
    return this.#words[this.#base + DESTROY_REASONS.indexOf(reason)] >>> 0;
  }
}
