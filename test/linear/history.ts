/** What the threads of a run did, and when: as recorded, and as printed. */

/** What was called. */
export const KINDS = ['acquire', 'acquireSync', 'tryAcquire', 'tryAcquireSync', 'release', 'destroy', 'call'] as const;
export type Kind = (typeof KINDS)[number];

/** What came of it. `none`: null, of a try. `done`: of a release or a destroy. `pending`: it never returned. */
export const OUTCOMES = ['pending', 'got', 'none', 'timeout', 'abort', 'done'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface Operation {
  /** 0: the owner. */
  readonly thread: number;
  /** A thread may have several things under way at once, each in a lane of its own. */
  readonly lane: number;
  readonly kind: Kind;
  /** Which resource it was about: given back, destroyed, or got. */
  readonly resource: number;
  /** For those that wait, in ms. 0: as long as it takes; it has to get something in the end. */
  readonly patience: number;
  readonly outcome: Outcome;
  // ── instants of the clock that all threads share: no two are equal
  readonly called: number;
  /** Seen in line by then: the call had returned its promise, or somebody saw its cell. Infinity: nobody knows. */
  readonly joined: number;
  /** Infinity: it never did. */
  readonly returned: number;
}

/** What there was when everything was at rest, before. */
export interface Beginning {
  /** Resources that lay idle. */
  readonly idle: readonly number[];
  /** Places where one could be made. */
  readonly empty: number;
  /** Returns pass by the owner, so that a resource may be had only some time after `release` has returned. */
  readonly guardedReturns: boolean;
}

export interface History extends Beginning {
  readonly operations: readonly Operation[];
}

export function describe({ thread, lane, kind, resource, patience, outcome }: Operation): string {
  const who = `${thread === 0 ? 'owner' : `thread ${thread}`}.${lane}`;
  if (kind === 'release' || kind === 'destroy') return `${who} ${kind}(${resource})`;
  const how = patience > 0 ? `at most ${patience} ms` : '';
  const result = outcome === 'got' ? resource : outcome === 'none' ? 'null' : outcome;
  return `${who} ${kind}(${how}) -> ${result}`;
}

/** A line for each operation, in the order of the calls. */
export function print({ idle, empty, guardedReturns, operations }: History): string {
  const at = (instant: number): string => (instant === Number.POSITIVE_INFINITY ? '...' : String(instant)).padStart(4);
  const lines = [...operations]
    .sort((a, b) => a.called - b.called)
    .map((operation) => `${at(operation.called)} ${at(operation.joined)} ${at(operation.returned)}  ${describe(operation)}`);
  return [
    `idle: ${idle.join(' ') || 'none'}; empty places: ${empty}${guardedReturns ? '; returns pass by the owner' : ''}`,
    'called, in line by, returned',
    ...lines,
  ].join('\n');
}
