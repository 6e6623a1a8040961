/** Time that never goes back and counts what a suspended machine has slept, as leases on a server go on meanwhile. */
import { uptime } from 'node:os';
import { hrtime } from 'node:process';
import { clearTimeout, setTimeout } from 'node:timers';

/** What depends on time takes one, so that a simulation may bring its own. Milliseconds, with fraction. */
export interface Clock {
  now(): number;
  /** Runs it once, after so long. Gives what cancels that. It does not keep the process alive. */
  after(ms: number, run: () => void): () => void;
}

/**
 * Two readings that advance alike while the machine is awake: a monotonic clock, and the machine's uptime, which goes on while it sleeps.
 */
export interface Origin {
  readonly awake: number;
  readonly up: number;
}

/** The two clocks may differ by so much without a sleep, in ms: uptime is coarse. */
const SLACK = 1500;

const awake = (): number => Number(hrtime.bigint()) / 1e6;

export const origin = (): Origin => ({ awake: awake(), up: uptime() * 1000 });

/** The clocks of all threads with one origin agree. */
export class RealClock implements Clock {
  readonly #origin: Origin;

  constructor(from: Origin) {
    this.#origin = from;
  }

  now(): number {
    const now = awake();
    const slept = uptime() * 1000 - this.#origin.up - (now - this.#origin.awake);
    return slept > SLACK ? now + slept : now;
  }

  after(ms: number, run: () => void): () => void {
    const timer = setTimeout(run, Math.max(0, ms)).unref();
    return () => clearTimeout(timer);
  }
}
