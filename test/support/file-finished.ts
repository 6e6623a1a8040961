/**
 * What the tests of one file share, and what must be gone when they have finished. Files of one process load a module of test/support once, so that
 * an afterAll at its top would be called after the first of them only. (./each-file.ts calls this after each.)
 */
const ends: (() => unknown)[] = [];

/** Called once, after the tests of the file that runs now: the last to be registered first. */
export function onFileFinished(end: () => unknown): void {
  ends.push(end);
}

export async function fileFinished(): Promise<void> {
  const failures: unknown[] = [];
  for (let end = ends.pop(); end !== undefined; end = ends.pop())
    try {
      await end();
    } catch (error) {
      failures.push(error);
    }
  if (failures.length > 0) throw new AggregateError(failures, 'what the file shared is not gone');
}
