/** The command line of a benchmark: its options, or what is wrong with them, or how it is used. */

/** What `read` gives, or undefined when there is nothing to run. */
export function chosen<V extends { help: boolean }>(read: () => V, usage: string): V | undefined {
  try {
    const values = read();
    if (!values.help) return values;
    console.log(usage);
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
  return undefined;
}
