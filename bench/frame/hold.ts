/** Keeps what was borrowed, by watching the clock: nothing sleeps for so short a time. */
export function hold(us: number): void {
  const end = performance.now() + us / 1000;
  while (performance.now() < end);
}

const never = new Int32Array(new SharedArrayBuffer(4));

/** Keeps it and leaves the core to others, as if waiting for a server. The system adds its own 50 us or so. */
export function sleep(us: number): void {
  Atomics.wait(never, 0, 0, us / 1000);
}
