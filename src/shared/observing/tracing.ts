/**
 * Diagnostics channels of Node, as all of cenote publishes on them. Imports nothing of ours, so that every folder may use it.
 *
 * A channel cannot say that a subscriber has come, and asking it costs as much as a tenth of a borrow. So the channels that the fast path
 * would have to ask say it themselves: see `onSubscription`.
 */
import { type Channel, channel } from 'node:diagnostics_channel';

/** A plain channel: each message stands for itself. */
export class Point<C extends object> {
  readonly #channel: Channel;

  constructor(name: string) {
    this.#channel = channel(name);
  }

  get isHeard(): boolean {
    return this.#channel.hasSubscribers;
  }

  /** A subscriber that throws is reported as uncaught by Node; the publisher goes on. */
  publish(context: C): void {
    this.#channel.publish(context);
  }

  /** Calls `changed` whenever subscribers may have come or gone. */
  onSubscription(changed: () => void): void {
    onSubscription(this.#channel, changed);
  }
}

/** What a trace adds to its context when it fails. */
interface Failed {
  error?: unknown;
}

/**
 * The five channels that `diagnostics_channel.tracingChannel(name)` has, in the order in which its `traceSync` and `tracePromise`
 * publish. Those two put the result into the context, where it must not be: a resource, say.
 */
export class Tracing<C extends object> {
  readonly #start: Channel;
  readonly #end: Channel;
  readonly #asyncStart: Channel;
  readonly #asyncEnd: Channel;
  readonly #error: Channel;

  constructor(name: string) {
    const part = (what: string): Channel => channel(`tracing:${name}:${what}`);
    this.#start = part('start');
    this.#end = part('end');
    this.#asyncStart = part('asyncStart');
    this.#asyncEnd = part('asyncEnd');
    this.#error = part('error');
  }

  get #all(): Channel[] {
    return [this.#start, this.#end, this.#asyncStart, this.#asyncEnd, this.#error];
  }

  get isHeard(): boolean {
    return (
      this.#start.hasSubscribers ||
      this.#end.hasSubscribers ||
      this.#asyncStart.hasSubscribers ||
      this.#asyncEnd.hasSubscribers ||
      this.#error.hasSubscribers
    );
  }

  /** Calls `changed` whenever subscribers may have come or gone. */
  onSubscription(changed: () => void): void {
    for (const each of this.#all) onSubscription(each, changed);
  }

  /** start, end, and error between them if it throws. `errorOf`: what the context may hold of an error. */
  sync<V>(context: C & Failed, body: () => V, errorOf: (thrown: unknown) => unknown): V {
    return this.#start.runStores(context, () => {
      try {
        return body();
      } catch (thrown) {
        context.error = errorOf(thrown);
        this.#error.publish(context);
        throw thrown;
      } finally {
        this.#end.publish(context);
      }
    });
  }

  /**
   * start, end; and when the promise has settled: error if it is rejected, asyncStart, asyncEnd. All in the async context of the caller.
   */
  promise<V>(context: C & Failed, body: () => Promise<V>, errorOf: (thrown: unknown) => unknown): Promise<V> {
    return this.#start.runStores(context, () => {
      let settled: Promise<V>;
      try {
        settled = body();
      } finally {
        this.#end.publish(context);
      }
      return settled.then(
        (value) => {
          this.#settled(context);
          return value;
        },
        (thrown: unknown) => {
          context.error = errorOf(thrown);
          this.#error.publish(context);
          this.#settled(context);
          throw thrown;
        },
      );
    });
  }

  /** The same for what calls back: `body` is given what to call once when it is through, with an error if it has failed. */
  callback(context: C & Failed, body: (done: (error?: unknown) => void) => void, errorOf: (thrown: unknown) => unknown): void {
    let hasEnded = false;
    let whenEnded: (() => void) | undefined;
    const settle = (error: unknown): void => {
      if (error !== undefined) {
        context.error = errorOf(error);
        this.#error.publish(context);
      }
      this.#settled(context);
    };
    this.#start.runStores(context, () => {
      try {
        body((error) => {
          if (hasEnded) settle(error);
          else whenEnded = () => settle(error);
        });
      } finally {
        hasEnded = true;
        this.#end.publish(context);
        whenEnded?.();
      }
    });
  }

  #settled(context: C): void {
    this.#asyncStart.publish(context);
    this.#asyncEnd.publish(context);
  }
}

/**
 * An Error with the name and code of what was thrown, and nothing else of it: its message may hold anything (a connection string, a value
 * of a row).
 */
export function labelOf(thrown: unknown, where: string): Error {
  let name: unknown;
  let code: unknown;
  try {
    ({ name, code } = thrown as { name?: unknown; code?: unknown });
  } catch {
    // undefined, null, or what does not answer.
  }
  const label = typeof name === 'string' ? name : typeof thrown;
  const error = new Error(`${where}: failed with ${label}${typeof code === 'string' ? ` (${code})` : ''}`);
  return Object.assign(error, { name: label }, typeof code === 'string' ? { code } : {});
}

/** Everything that brings a subscriber to a channel, or takes one away, goes through one of these. */
const METHODS = ['subscribe', 'unsubscribe', 'bindStore', 'unbindStore'] as const;

/** Puts a method of each name onto this one channel, which does what the channel's own does, and then calls back. */
function onSubscription(on: Channel, changed: () => void): void {
  for (const name of METHODS) {
    const own = Object.getOwnPropertyDescriptor(on, name)?.value as ((...args: unknown[]) => unknown) | undefined;
    Object.defineProperty(on, name, {
      configurable: true,
      writable: true,
      value(this: object, ...args: unknown[]): unknown {
        // A channel changes its prototype with its first subscriber: it is looked up each time.
        const method = own ?? (Reflect.get(Object.getPrototypeOf(this), name, this) as (...args: unknown[]) => unknown);
        try {
          return Reflect.apply(method, this, args);
        } finally {
          changed();
        }
      },
    });
  }
}
