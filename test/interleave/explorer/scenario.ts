// What a race is made of. Test files define scenarios; the explorer's threads load the same file and find the scenario by its name.

export type AnyInts = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array;

/** Imports one of the shipped modules, named as in src/: `load('shared/words/line.ts')`. From dist/, or from a mutant. */
export type Load = <M>(module: string) => Promise<M>;

export interface Context<Code, Shared> {
  readonly code: Code;
  readonly shared: Shared;
  /** The thread's name, and its number in the order of `threads`. */
  readonly name: string;
  readonly index: number;
  /** A point at which others may run, though nothing shared is touched: say, in the middle of a critical section. */
  step(label?: string): void;
  /** A line in the trace. */
  note(text: string): void;
  /** Ends the schedule as failed. */
  fail(message: string): never;
  assert(condition: boolean, message: string): void;
}

export interface Repairing<Code, Shared> extends Context<Code, Shared> {
  /** Who died. */
  readonly victim: string;
  readonly victimIndex: number;
}

export interface Outcome<Code, Shared> extends Context<Code, Shared> {
  /** Names of those that died in this schedule. */
  readonly dead: readonly string[];
}

/** A word of shared memory, for the trace. */
export interface Word {
  readonly name: string;
  readonly view: AnyInts;
  readonly index: number;
  readonly show?: (value: number) => string;
}

export interface Scenario<Code, Shared> {
  /** The shipped code that the threads run. Each thread loads it for itself. */
  code?: (load: Load) => Code | Promise<Code>;
  /**
   * Makes the initial state, once, on one thread, before any scheduling. Plain data that can be cloned; every SharedArrayBuffer in it is
   * put back to what it held now before each schedule.
   */
  setup: (context: { code: Code }) => Shared;
  /**
   * The threads that race. A body is called anew for each schedule; what it keeps from one to the next is its own fault.
   * An async body is taken to be waiting whenever its microtasks have run out.
   */
  threads: Record<string, (context: Context<Code, Shared>) => unknown>;
  /** Threads that serve the others and never end: when everyone else has ended and they sleep, the schedule is over. */
  daemons?: Record<string, (context: Context<Code, Shared>) => unknown>;
  /** Runs on a thread of its own after a death, in competition with the survivors. */
  repair?: (context: Repairing<Code, Shared>) => unknown;
  /** Which threads may die. Default: all of `threads`. */
  mortal?: readonly string[];
  /** Throws if something does not hold. Runs when everyone has ended, with nobody else running. */
  after?: (context: Outcome<Code, Shared>) => void;
  words?: (context: { code: Code; shared: Shared }) => readonly Word[];
  /**
   * Whose waits may time out. Default: everybody's. The waits of the others last until they are notified, so a wake-up that they would owe
   * to a timeout (a poll in slices, say) shows as a deadlock.
   */
  timeouts?: readonly string[];
  /** Milliseconds by which the virtual clock moves at each look at it. Default 0.01. */
  tick?: number;
  /** Operations in one schedule, more is a livelock. Default 5000. */
  bound?: number;
  /** After so many operations in a row another thread gets its turn, and it costs no preemption: threads that spin. Default 200. */
  patience?: number;
  /** Seconds without any operation, after which the exploration is given up. Default 15. */
  stuckAfter?: number;
  /** It is meant to fail: a known-bad variant in the scenario itself. */
  bad?: boolean;
}

export interface NamedScenario<Code = unknown, Shared = unknown> extends Scenario<Code, Shared> {
  readonly file: string;
  readonly name: string;
}

const defined = new Map<string, NamedScenario>();

/** `scenario(import.meta.url, 'two threads, one slot', { ... })`, at the top level of a test file. */
export function scenario<Code, Shared>(file: string, name: string, definition: Scenario<Code, Shared>): NamedScenario<Code, Shared> {
  const named = { ...definition, file, name };
  defined.set(name, named as unknown as NamedScenario);
  return named;
}

export const scenarios = (): NamedScenario[] => [...defined.values()];

export function scenarioNamed(name: string): NamedScenario {
  const found = defined.get(name);
  if (found === undefined) throw new Error(`No scenario is called ${name}: is it defined at the top level of its file?`);
  return found;
}

/** The threads of a scenario in the order of their numbers; the one that repairs comes last. */
export function threadNames({ threads, daemons = {}, repair }: Pick<Scenario<never, never>, 'threads' | 'daemons' | 'repair'>): string[] {
  return [...Object.keys(threads), ...Object.keys(daemons), ...(repair ? ['repair'] : [])];
}
