/** Copies of the pool that are broken on purpose, for the checker to refuse. Compiled beside dist/, so that they find their packages. */
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
let copies = 0;

export interface Broken {
  /** For `code` of a run. */
  readonly code: string;
  remove(): void;
}

/** `find` must stand in that file of src/ exactly once. */
export function broken(file: string, find: string, replace: string): Broken {
  const folder = `${root}dist.broken-${process.pid}-${++copies}`;
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    cpSync(`${root}src`, `${folder}/src`, { recursive: true });
    const path = `${folder}/src/${file}`;
    const parts = readFileSync(path, 'utf8').split(find);
    if (parts.length !== 2) throw new Error(`${file} has that text ${parts.length - 1} times: refit it\n${find}`);
    writeFileSync(path, parts.join(replace));
    // What it no longer uses may well be left over.
    const project = {
      extends: '../tsconfig.build.json',
      compilerOptions: { rootDir: 'src', outDir: 'out', noUnusedLocals: false },
      include: ['src'],
    };
    writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(project));
    execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', folder], { stdio: 'pipe', encoding: 'utf8' });
  } catch (error) {
    remove();
    throw new Error(`the broken copy does not compile: ${(error as { stdout?: string }).stdout ?? ''}`, { cause: error });
  }
  return { code: `${folder}/out`, remove };
}
