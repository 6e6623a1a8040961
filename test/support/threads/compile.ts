/**
 * JavaScript for threads that are started by the dozen. With a loader for TypeScript each of them would take several times as long to start on
 * Node 20. The folder is inside the package, so that they can import `cenote` by its name.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type BuildOptions, buildSync } from 'esbuild';

const root = fileURLToPath(new URL('../../..', import.meta.url));

export interface Compiled {
  /** One of the sources, or what they import ('test/soak/owner.ts') -> what to start. */
  url(source: string): URL;
  remove(): void;
}

const asItIs = {
  absWorkingDir: root,
  outbase: root,
  format: 'esm',
  platform: 'node',
  target: 'es2022',
  sourcemap: 'inline',
  write: false,
} as const satisfies BuildOptions;

/** Paths from the root of the project, and with them whatever they import. */
export function compileThreads(...sources: string[]): Compiled {
  const out = folderOfThisRun();
  const remove = (): void => rmSync(out, { recursive: true, force: true });
  try {
    const { metafile } = buildSync({ ...asItIs, entryPoints: sources, outdir: out, bundle: true, packages: 'external', metafile: true });
    const { outputFiles } = buildSync({ ...asItIs, entryPoints: Object.keys(metafile.inputs), outdir: out });
    for (const { path, text } of outputFiles) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, withJs(text));
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { url: (source) => pathToFileURL(`${out}/${source.replace(/\.ts$/, '.js')}`), remove };
}

/** Inside of the package. What is still there when the tests have ended is removed then (../build.ts): a process of Vitest is killed at its end. */
export function folderOfThisRun(): string {
  const folder = mkdtempSync(`${root}dist.run-${process.env.CENOTE_TEST_RUN ?? process.pid}-`);
  // For users other than this one, too.
  chmodSync(folder, 0o755);
  return folder;
}

/** What is imported is compiled, too. */
export const withJs = (text: string): string => text.replaceAll(/(\b(?:from|import) ?\(?")(\.{1,2}\/[^"]+)\.ts"/g, '$1$2.js"');
