/** A process of its own that runs an exported function of a question's file: for what is measured of a whole process, or says things on standard output. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

interface Job {
  readonly module: string;
  readonly name: string;
  readonly args: readonly unknown[];
}

type Done = { readonly value: unknown } | { readonly error: unknown };

const MARK = 'bench-process';

/** Calls `module`'s export `name` over there. It goes when we do. */
export async function inProcess<V>(module: string, name: string, args: readonly unknown[]): Promise<V> {
  const child = fork(fileURLToPath(import.meta.url), [MARK], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], serialization: 'advanced' });
  try {
    const outcome = await new Promise<Done>((resolve, reject) => {
      child.once('message', (done) => resolve(done as Done));
      child.once('error', reject);
      child.once('exit', (code, signal) => reject(new Error(`a process of the benchmark has ended with ${signal ?? `code ${code}`}`)));
      child.send({ module, name, args } satisfies Job);
    });
    if ('error' in outcome) throw outcome.error;
    return outcome.value as V;
  } finally {
    child.kill('SIGKILL');
  }
}

if (process.argv[2] === MARK && process.send !== undefined) {
  process.once('disconnect', () => process.exit());
  process.once('message', async ({ module, name, args }: Job) => {
    try {
      const value: unknown = await (await import(module))[name](...args);
      process.send!({ value });
    } catch (error) {
      process.send!({ error });
    }
  });
}
