/**
 * JavaScript for threads that are started by the dozen. With a loader for TypeScript each of them would take more than a second to start on Node 20;
 * compiled once, they start in a tenth of that. The folder is inside the package, so that they can import `cenote` by its name.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

export interface Compiled {
  /** One of the sources, or what they import ('test/soak/owner.ts') -> what to start. */
  url(source: string): URL;
  remove(): void;
}

let folders = 0;

/** Paths from the root of the project, and with them whatever they import. */
export function compileThreads(...sources: string[]): Compiled {
  const out = `${root}dist.threads-${process.pid}-${++folders}`;
  const remove = (): void => rmSync(out, { recursive: true, force: true });
  mkdirSync(out);
  const compilerOptions = { noEmit: false, rootDir: '..', outDir: '.', types: ['node'] };
  const project = { extends: '../tsconfig.json', compilerOptions, include: [], files: sources.map((source) => `../${source}`) };
  writeFileSync(`${out}/tsconfig.json`, JSON.stringify(project));
  try {
    execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', out], { stdio: 'pipe', encoding: 'utf8' });
  } catch (error) {
    remove();
    throw new Error(`the threads do not compile:\n${(error as { stdout?: string }).stdout ?? ''}`, { cause: error });
  }
  return { url: (source) => pathToFileURL(`${out}/${source.replace(/\.ts$/, '.js')}`), remove };
}
