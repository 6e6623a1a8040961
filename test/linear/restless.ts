/** Naps between two atomic operations, now and then: so others come in between, though cores be few and busy. */
import { Random } from '../soak/random.ts';

const OPERATIONS = ['load', 'store', 'exchange', 'compareExchange', 'add', 'sub', 'and', 'or', 'xor', 'notify'] as const;
/** Milliseconds. The system adds its own. */
const NAP = 0.02;

type Operation = (...args: never[]) => unknown;
const { wait } = Atomics;
const operations = Atomics as unknown as Record<(typeof OPERATIONS)[number], Operation>;
const awake = OPERATIONS.map((name) => [name, operations[name]] as const);
const bed = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Of this thread, from now on. `chance`: of a nap, before each operation. */
export function beRestless(chance: number, seed: number): void {
  const random = new Random(seed);
  for (const [name, operation] of awake) {
    operations[name] =
      chance === 0
        ? operation
        : (...args) => {
            if (random.chance(chance)) wait(bed, 0, 0, NAP);
            return operation(...args);
          };
  }
}
