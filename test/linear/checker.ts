/**
 * Is there an order? A search in the way of Wing and Gong, with the memory that Lowe, Lincheck, Knossos and Porcupine give it.
 *
 * A history is a list of steps. Each took effect at one instant between `from` and `until`; nobody knows which. The question is whether instants can be chosen
 * so that a sequential model, taking the steps in that order, allows every one of them. An operation that takes effect once is one step; one that takes
 * effect twice (it joins a line, and is served later) is two, of which the second names the first in `after`.
 *
 * A step may come next if no other that is still to come had to come before it began. What has been tried is remembered as (set of steps taken, state of the model),
 * so the search is exponential only in how much really overlaps. It is bounded all the same: 'unknown' is an answer of its own, and no pass.
 */

export interface Step<S> {
  /** For the report. */
  readonly name: string;
  readonly from: number;
  /** Infinity: whenever it likes. */
  readonly until: number;
  /** Index of the step that has to come first. */
  readonly after?: number;
  /** It may not have happened at all. */
  readonly optional?: boolean;
  /** What the model may be like afterwards; nothing: not now. Must leave the state that it is given alone. */
  apply(state: S): readonly S[];
}

export interface Model<S> {
  readonly initial: S;
  /** Equal for states that behave alike. */
  key(state: S): string;
  /** When every step has been taken: may it be left like that? */
  accepts(state: S): boolean;
}

export type Verdict =
  | { readonly answer: 'linearisable'; readonly order: readonly string[]; readonly states: number }
  /** `longest`: the order that came furthest. `stuck`: what would have had to come next. */
  | { readonly answer: 'refused'; readonly longest: readonly string[]; readonly stuck: readonly string[]; readonly states: number }
  | { readonly answer: 'unknown'; readonly states: number };

/** `bound`: how many states may be looked at. */
export function linearise<S>(steps: readonly Step<S>[], model: Model<S>, bound = 200_000): Verdict {
  const taken = new Uint8Array(steps.length);
  const order: number[] = [];
  const seen = new Set<string>();
  // Those that had to be over first come first: mostly that is the order in which they happened. What need not be comes last.
  const rank = ({ optional }: Step<S>): number => (optional ? 1 : 0);
  const byEnd = steps
    .map((_, index) => index)
    .sort((a, b) => rank(steps[a]) - rank(steps[b]) || steps[a].until - steps[b].until || steps[a].from - steps[b].from);
  let longest: number[] = [];
  let stuck: number[] = [];
  const names = (indices: readonly number[]): string[] => indices.map((index) => steps[index].name);

  /** Steps that may come next, as far as time goes. */
  const next = (): number[] => {
    let begun = 0;
    for (const index of order) if (steps[index].from > begun) begun = steps[index].from;
    // The required ones are in the order of their ends, so the first of them says by when the next step must have begun.
    let end: number | undefined;
    const candidates: number[] = [];
    for (const index of byEnd) {
      if (taken[index]) continue;
      const { from, until, after, optional } = steps[index];
      if (!optional) end ??= until;
      if (from <= (end ?? Number.POSITIVE_INFINITY) && until >= begun && (after === undefined || taken[after])) candidates.push(index);
    }
    return candidates;
  };

  let missing = steps.filter((step) => !step.optional).length;
  const search = (state: S): boolean | undefined => {
    if (missing === 0 && model.accepts(state)) return true;
    const key = `${String.fromCharCode(...packed(taken))}|${model.key(state)}`;
    if (seen.has(key)) return false;
    if (seen.size >= bound) return undefined;
    seen.add(key);
    const candidates = next();
    if (order.length > longest.length || stuck.length === 0) {
      longest = [...order];
      stuck = candidates;
    }
    for (const index of candidates) {
      const counts = steps[index].optional ? 0 : 1;
      for (const after of steps[index].apply(state)) {
        taken[index] = 1;
        order.push(index);
        missing -= counts;
        const found = search(after);
        if (found !== false) return found;
        taken[index] = 0;
        order.pop();
        missing += counts;
      }
    }
    return false;
  };

  switch (search(model.initial)) {
    case true:
      return { answer: 'linearisable', order: names(order), states: seen.size };
    case undefined:
      return { answer: 'unknown', states: seen.size };
    default:
      return { answer: 'refused', longest: names(longest), stuck: names(stuck), states: seen.size };
  }
}

/** Sixteen steps to a character. */
function packed(taken: Uint8Array): number[] {
  const words = new Array<number>(Math.ceil(taken.length / 16)).fill(0);
  for (let index = 0; index < taken.length; index++) if (taken[index]) words[index >> 4] |= 1 << (index & 15);
  return words;
}
