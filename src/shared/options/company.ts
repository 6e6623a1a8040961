/**
 * One-shot calls in company: of those of one thread that stand in line, a resource that is granted to the first may take some along. It is
 * no option of createPool: what stands on a pool, and knows its resources, asks for it by this symbol. Imports nothing.
 */

export const COMPANY: unique symbol = Symbol.for('cenote:company');

export interface CompanyOptions<T> {
  /** The method whose calls may have company. */
  readonly method: string;
  /** How many calls of one thread come before the line goes on to the next thread; 1: none has company. */
  readonly most: number;
  /** Runs that method with its arguments. Resolves with its answer; what was taken along may go on after that. */
  run(resource: T, args: readonly unknown[], company: Company): Promise<unknown>;
}

/** What a resource that runs a one-shot call may take along. */
export interface Company {
  /**
   * The next call of that thread, if it is one of the method and `fits`: it has left the line. Undefined: there is none, or it is another
   * thread's turn. Every call that was taken must be ended.
   */
  next(fits: (args: readonly unknown[]) => boolean): Companion | undefined;
}

/** A call that was taken along, and has not begun. */
export interface Companion {
  /**
   * The resource is at it now. False: it is not to run here any more. Its caller has stopped waiting or is gone, or it has begun on another
   * resource, or this resource was taken back.
   */
  begin(): boolean;
  /**
   * It is not to wait for this resource any longer, and stands in line again. Until it begins elsewhere it may still begin here. To say so
   * again changes nothing.
   */
  back(): void;
  /** The resource has nothing to do with it any more. `answer`: what its caller gets, if it has begun here. */
  end(answer?: unknown): void;
}
