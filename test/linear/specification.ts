/**
 * The pool as a sequential machine: what is idle, how many places are empty, who stands in line, who has what.
 *
 * An acquire takes effect twice: it joins the line, and it is served or leaves. FIFO is then not a rule about instants that nobody knows, but this: there is an order
 * of joining, each within its interval, such that whoever is served is first in line. Whoever finds something idle and nobody waiting joins and is served, too; so nobody can
 * pass the line by not joining it.
 *
 * Serving is lazy: something may lie idle while somebody is first in line, until that one is served. What stands in the way of a lost release is that nobody who waits without
 * a limit may leave, that a try may only find nothing where there is no more than the line will take, and that at the end nobody waits beside what is idle.
 *
 * Who is let pass, because it really happens and may:
 *  - Granted and aborted in the same moment: such a waiter has a resource for a moment, of which it never tells. While it stands in front, those behind it may be served, as long
 *    as what is left would do for it as well.
 *  - A thread that goes to sleep in line takes what another waiter of the same thread has been granted, and gives it its own place ("exchange"). Between threads the order holds.
 *    If that one only tried, it is told that there is nothing; so such a try may have stood in line (and others have seen it there) though it got nothing.
 */
import type { Model, Step } from './checker.ts';
import { describe, type History, type Operation } from './history.ts';

interface State {
  readonly idle: readonly number[];
  readonly held: readonly number[];
  /** Destroyed, and for ever. */
  readonly gone: readonly number[];
  /** Given back, and on the way to the owner. */
  readonly underWay: readonly number[];
  readonly empty: number;
  /** Operations, first in line first. */
  readonly line: readonly number[];
  /** Tries that were granted something, which a sleeper of their thread took. */
  readonly robbed: readonly number[];
}

const without = (list: readonly number[], value: number): number[] => list.filter((each) => each !== value);
const withAlso = (list: readonly number[], value: number): number[] => [...list, value].sort((a, b) => a - b);

export function specification(history: History): { steps: Step<State>[]; model: Model<State> } {
  const { operations } = history;
  const steps: Step<State>[] = [];
  const add = (step: Step<State>): number => steps.push(step) - 1;

  /** Asynchronous waiters that a sleeper of the same thread may have taken something from. */
  const exchangeable = new Set<number>();
  for (const [index, operation] of operations.entries()) {
    if (!isAsynchronous(operation)) continue;
    if (operations.some((other) => isSleeper(other) && other.thread === operation.thread && overlap(operation, other)))
      exchangeable.add(index);
  }
  const maySlip = (index: number): boolean => operations[index].outcome === 'abort' || exchangeable.has(index);
  const supply = (state: State): number => state.idle.length + state.empty;

  /** Takes a resource out of what is there: idle, or made for this in an empty place. */
  const take = (state: State, resource: number): State | undefined => {
    if (state.idle.includes(resource)) return { ...state, idle: without(state.idle, resource), held: withAlso(state.held, resource) };
    const isNew = !state.held.includes(resource) && !state.gone.includes(resource) && !state.underWay.includes(resource);
    return isNew && state.empty > 0 ? { ...state, empty: state.empty - 1, held: withAlso(state.held, resource) } : undefined;
  };

  const serve = (state: State, index: number, resource: number): State[] => {
    const place = state.line.indexOf(index);
    const served = place === -1 ? undefined : take(state, resource);
    if (served === undefined) return [];
    const outcomes: State[] = [];
    const isFirst = (at: number): boolean => state.line.slice(0, at).every(maySlip) && supply(state) > at;
    if (isFirst(place)) outcomes.push({ ...served, line: without(state.line, index) });
    if (!isSleeper(operations[index])) return outcomes;
    // What this one got was meant for another of its thread, which gets its place; or nothing, if it only tried.
    const isRobbed = (other: number): boolean => exchangeable.has(other) && operations[other].thread === operations[index].thread;
    const meant = state.line.findIndex((other, at) => at < place && isRobbed(other));
    if (meant === -1 || !isFirst(meant)) return outcomes;
    const other = state.line[meant];
    const rest = without(state.line, other);
    if (isTry(operations[other])) outcomes.push({ ...served, line: without(rest, index), robbed: withAlso(state.robbed, other) });
    else outcomes.push({ ...served, line: rest.map((each) => (each === index ? other : each)) });
    return outcomes;
  };

  const giveBack = (operation: Operation, after?: number): void => {
    const { called: from, returned: until, resource } = operation;
    const isGuarded = history.guardedReturns;
    const given = add({
      name: `${describe(operation)}: given back`,
      from,
      until,
      ...(after !== undefined && { after }),
      apply: (state) => {
        if (!state.held.includes(resource)) return [];
        const held = without(state.held, resource);
        if (isGuarded) return [{ ...state, held, underWay: withAlso(state.underWay, resource) }];
        return [{ ...state, held, idle: withAlso(state.idle, resource) }];
      },
    });
    if (!isGuarded) return;
    add({
      name: `${describe(operation)}: idle`,
      from,
      until: Number.POSITIVE_INFINITY,
      after: given,
      apply: (state) => [{ ...state, underWay: without(state.underWay, resource), idle: withAlso(state.idle, resource) }],
    });
  };

  const destroy = (operation: Operation): void => {
    const { called: from, returned: until, resource, thread } = operation;
    const destroyed = add({
      name: describe(operation),
      from,
      until,
      apply: (state) =>
        state.held.includes(resource) ? [{ ...state, held: without(state.held, resource), gone: withAlso(state.gone, resource) }] : [],
    });
    // From a worker it is a message: its place is empty when the owner has read it.
    add({
      name: `${describe(operation)}: its place is empty`,
      from,
      until: thread === 0 ? until : Number.POSITIVE_INFINITY,
      after: destroyed,
      apply: (state) => [{ ...state, empty: state.empty + 1 }],
    });
  };

  const join = (index: number, until: number, optional: boolean): number =>
    add({
      name: `${describe(operations[index])}: joins`,
      from: operations[index].called,
      until,
      optional,
      apply: (state) => [{ ...state, line: [...state.line, index] }],
    });

  const getNothing = (index: number): void => {
    const operation = operations[index];
    if (exchangeable.has(index)) join(index, operation.returned, true);
    add({
      name: describe(operation),
      from: operation.called,
      until: operation.returned,
      apply: (state) => {
        const others = without(state.line, index);
        return supply(state) <= others.length || state.robbed.includes(index) ? [{ ...state, line: others }] : [];
      },
    });
  };

  const wait = (index: number): void => {
    const operation = operations[index];
    const { called: from, returned: until, joined, kind, outcome, patience, resource } = operation;
    const name = describe(operation);
    const after = join(index, Math.min(joined, until), false);
    if (outcome === 'got') {
      const served = add({ name: `${name}: served`, from, until, after, apply: (state) => serve(state, index, resource) });
      // A call gives back what it was served.
      if (kind === 'call') giveBack(operation, served);
    } else if (outcome !== 'pending')
      add({
        name: `${name}: leaves`,
        from,
        until,
        after,
        // Who waits for as long as it takes must not be told that its time is over.
        apply: (state) => (patience === 0 && outcome === 'timeout' ? [] : [{ ...state, line: without(state.line, index) }]),
      });
  };

  for (const [index, operation] of operations.entries()) {
    if (operation.kind === 'release') giveBack(operation);
    else if (operation.kind === 'destroy') destroy(operation);
    else if (operation.outcome === 'none') getNothing(index);
    else wait(index);
  }

  const idle = [...history.idle].sort((a, b) => a - b);
  return {
    steps,
    model: {
      initial: { idle, held: [], gone: [], underWay: [], empty: history.empty, line: [], robbed: [] },
      key: ({ idle, held, gone, underWay, line, robbed, empty }) => [idle, held, gone, underWay, line, robbed, empty].map(String).join(';'),
      accepts: (state) => state.line.length === 0 || supply(state) === 0,
    },
  };
}

const isAsynchronous = ({ kind }: Operation): boolean => kind === 'acquire' || kind === 'tryAcquire';
const isTry = ({ kind }: Operation): boolean => kind === 'tryAcquire' || kind === 'tryAcquireSync';
/** Those that only try have no place to give, so they take nothing either. */
const isSleeper = ({ kind }: Operation): boolean => kind === 'acquireSync';
const overlap = (a: Operation, b: Operation): boolean => a.called < b.returned && b.called < a.returned;
