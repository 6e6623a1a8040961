// The time and the chance that the code under test sees: moved by the schedule alone, so that a replay sees the same.
import { C, type Control, D } from './control.ts';
import { Prng } from './prng.ts';

/** Virtual time starts here, in ms: not at 0, which code may take for "never". */
export const START = 1_000_000;

/** Replaces what tells the time on this thread, and Math.random. `control` gives nothing while no body runs: then time stands still. */
export function replaceClock(control: () => Control | undefined, tick: () => number): void {
  const read = (): number => {
    const now = control();
    return now === undefined ? START : (now.doubles[D.now] += tick());
  };
  const nanoseconds = (): bigint => BigInt(Math.round(read() * 1e6));
  performance.now = read;
  Date.now = () => Math.floor(read());
  const hrtime = (since?: [number, number]): [number, number] => {
    const at = nanoseconds() - (since ? BigInt(since[0]) * 1_000_000_000n + BigInt(since[1]) : 0n);
    return [Number(at / 1_000_000_000n), Number(at % 1_000_000_000n)];
  };
  process.hrtime = Object.assign(hrtime, { bigint: nanoseconds });
  Math.random = () => {
    const now = control();
    return now === undefined ? 0.5 : new Prng(now.words, C.random).unit();
  };
}
