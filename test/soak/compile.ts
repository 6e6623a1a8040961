/**
 * JavaScript for threads that are started by the dozen. With a loader for TypeScript each of them would take more than a second to start on Node 20;
 * compiled once, they start in a tenth of that. The folder is inside the package, so that they can import `cenote` by its name.
 */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Compiled {
  /** The source of a thread, from the root of what was compiled ('soak/owner.ts') -> what to start. */
  url(source: string): URL;
  remove(): void;
}

let folders = 0;

export function compileThreads(project = 'test/soak/tsconfig.threads.json'): Compiled {
  const out = `${root}dist.threads-${process.pid}-${++folders}`;
  const remove = (): void => rmSync(out, { recursive: true, force: true });
  try {
    execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', `${root}${project}`, '--outDir', out], {
      stdio: 'pipe',
      encoding: 'utf8',
    });
  } catch (error) {
    remove();
    throw new Error(`the threads do not compile:\n${(error as { stdout?: string }).stdout ?? ''}`, { cause: error });
  }
  return { url: (source) => pathToFileURL(`${out}/${source.replace(/\.ts$/, '.js')}`), remove };
}
