/** What a runner counts. `submitted` is counted by itself, so that the sum of the others can be held against it. */
import { HISTOGRAM_BUCKETS, Histogram } from '../shared/index.ts';

const histogram = (): Histogram => new Histogram(new Int32Array(new SharedArrayBuffer(4 * HISTOGRAM_BUCKETS)), 0);

/** How a job is over. */
export type Ending = 'completed' | 'failed' | 'cancelled' | 'lost';

export class Counts {
  readonly since = performance.now();
  submitted = 0;
  readonly over: Record<Ending, number> = { completed: 0, failed: 0, cancelled: 0, lost: 0 };
  retried = 0;
  /** Of jobs that are over, in ms. */
  busy = 0;
  readonly runTime = histogram();
  readonly waitTime = histogram();

  ran(ms: number): void {
    this.busy += ms;
    this.runTime.record(ms);
  }
}
