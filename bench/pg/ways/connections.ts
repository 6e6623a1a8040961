/** How many connections one pool has: one for all threads, or one in each. */
export const CONNECTIONS = 4;

/** So many for all threads, dealt out: which threads have some, and how many each. The last of more threads than that have none. */
export function dealt<T>(threads: readonly T[]): [holders: readonly T[], each: number] {
  const holders = threads.slice(0, CONNECTIONS);
  return [holders, Math.floor(CONNECTIONS / holders.length)];
}
