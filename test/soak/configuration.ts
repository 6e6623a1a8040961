/** What one round is like, drawn from its seed. */
import type { Random } from './random.ts';

export interface Configuration {
  /** Of the whole round: every thread draws from it, too. */
  readonly seed: number;
  readonly max: number;
  readonly min: number;
  readonly threads: number;
  /** Tasks that each thread runs side by side. */
  readonly lanes: number;
  readonly maxUses: number;
  readonly maxLifetime: number;
  readonly idleTimeout: number;
  readonly maxWaiting: number;
  readonly healthcheckInterval: number;
  readonly checkTimeout: number;
  readonly createTimeout: number;
  readonly leakDetectionThreshold: number;
  readonly orphans: 'destroy' | 'release';
  readonly beforeAcquire: boolean;
  readonly beforeRelease: boolean;
  readonly asyncDestructor: boolean;
  /** Workers get numbers instead of proxies. */
  readonly share: boolean;
  readonly strategy: 'none' | 'consecutive' | 'rate';
  readonly recoveryProbes: number;
  /** Somebody moves the breaker now and then. */
  readonly breaker: boolean;
  /** How often a factory or hook misbehaves. */
  readonly faults: number;
  /** Pause between two deaths, in ms; 0: nobody is killed. */
  readonly killEvery: number;
  readonly detaches: boolean;
  /** At the end a thread is cut off while a one-shot call of its own runs that never ends: the pool gives it a second. */
  readonly hangs: boolean;
  readonly ownerDies: boolean;
  /** The pool is suspended, resized and recycled now and then. */
  readonly steers: boolean;
  readonly duration: number;
}

export function drawConfiguration(random: Random, seed: number, duration: number): Configuration {
  const max = random.from(1, 5);
  // In many rounds nothing is done by the clock: what is owed to somebody must not come by chance, with the next look at everything.
  const byClock = random.chance(0.5);
  const interval = (choices: readonly number[]): number => (byClock ? random.pick(choices) : 0);
  return {
    seed,
    max,
    min: random.pick([0, 0, 1, max]),
    threads: random.from(2, 8),
    lanes: random.from(1, 3),
    maxUses: random.pick([0, 0, 1, 7, 100]),
    maxLifetime: interval([0, 0, 30, 300]),
    idleTimeout: interval([0, 0, 20, 100]),
    maxWaiting: random.pick([1024, 1024, 1024, 3, 0]),
    healthcheckInterval: interval([0, 0, 10, 100]),
    checkTimeout: random.pick([10, 30]),
    createTimeout: random.pick([20, 50]),
    leakDetectionThreshold: interval([0, 0, 0, 50]),
    orphans: random.pick(['destroy', 'release']),
    beforeAcquire: random.chance(0.3),
    beforeRelease: random.chance(0.5),
    asyncDestructor: random.chance(0.4),
    share: random.chance(0.4),
    strategy: random.pick(['none', 'none', 'consecutive', 'rate']),
    recoveryProbes: random.from(1, 3),
    breaker: random.chance(0.4),
    faults: random.pick([0, 0.02, 0.1]),
    killEvery: random.pick([0, 15, 60, 150]),
    detaches: random.chance(0.5),
    hangs: random.chance(0.4),
    ownerDies: random.chance(0.25),
    steers: random.chance(0.5),
    duration,
  };
}
