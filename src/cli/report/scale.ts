/** From values to pixels. */

export interface Scale {
  (value: number): number;
  readonly ticks: readonly number[];
}

const log = Math.log10;

/** The ticks of every decade. */
const STEPS = [1, 2, 5];
const floorStep = (value: number): number => {
  const power = 10 ** Math.floor(log(value) + 1e-9);
  return power * STEPS.findLast((step) => step * power <= value * 1.000001)!;
};

/**
 * A logarithmic scale from a round number below `least` to one above `most`. It has ticks at 1, 2 and 5, or at decades only, where those
 * would be too many.
 */
export function logarithmic(least: number, most: number, from: number, to: number): Scale {
  let low = floorStep(least);
  let high = Math.max(1 / floorStep(1 / most), low * 2);
  let steps = STEPS;
  if (log(high / low) > 3.01) {
    steps = [1];
    low = 10 ** Math.floor(log(low) + 1e-9);
    high = 10 ** Math.ceil(log(high) - 1e-9);
  }
  const ticks: number[] = [];
  for (let decade = Math.floor(log(low) + 1e-9); decade <= log(high) + 1e-9; decade++)
    for (const step of steps) ticks.push(step * 10 ** decade);
  const span = log(high / low);
  const at = (value: number): number => from + ((to - from) * log(Math.min(high, Math.max(low, value)) / low)) / span;
  return Object.assign(at, { ticks: ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001) });
}

/** A linear scale from 0 to a round number above `most`. */
export function linear(most: number, from: number, to: number): Scale {
  const power = 10 ** Math.floor(log(most / 4));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => most / each <= 5)!;
  const count = Math.max(1, Math.ceil(most / step - 1e-9));
  const ticks = Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(6)));
  return Object.assign((value: number): number => from + ((to - from) * value) / (count * step), { ticks });
}

/** A scale on which distances are ratios: twice as many threads are one step further, wherever one begins. Ticks are at the values. */
export function doublings(values: readonly number[], from: number, to: number): Scale {
  const ticks = [...new Set(values)].sort((a, b) => a - b);
  const span = Math.log2(ticks.at(-1)! / ticks[0]);
  // A single value stands in the middle.
  return Object.assign(
    (value: number): number => (span === 0 ? (from + to) / 2 : from + ((to - from) * Math.log2(value / ticks[0])) / span),
    { ticks },
  );
}
