/** Runs a program of the documentation in a folder of its own, in a Node process of its own. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { onFileFinished } from '../support/file-finished.ts';
import { root } from './markdown.ts';

export interface Result {
  code: number;
  lines: string[];
  stderr: string;
}

/** An empty folder, gone when the tests of the file that imports this have finished. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'cenote-docs-'));
  onFileFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A folder in which `cenote` is this project, and other packages are those of its own node_modules. */
export function project(files: ReadonlyMap<string, string>, packages: readonly string[] = ['piscina', '@types']): string {
  const path = folder();
  mkdirSync(join(path, 'node_modules'));
  symlinkSync(root, join(path, 'node_modules/cenote'), 'dir');
  for (const name of packages) {
    const link = join(path, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(`${root}node_modules/${name}`, link, 'dir');
  }
  for (const [name, code] of files) writeFileSync(join(path, name), code);
  return path;
}

/** `node args...`. Killed after two minutes: only what hangs takes as long. */
export const node = (cwd: string, ...args: string[]): Promise<Result> => nodeWith({}, cwd, ...args);

function nodeWith(variables: NodeJS.ProcessEnv, cwd: string, ...args: string[]): Promise<Result> {
  const { NODE_OPTIONS: _, ...rest } = process.env;
  const env = { ...rest, ...variables };
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd, timeout: 120_000, killSignal: 'SIGKILL', env }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, lines: stdout.split('\n').filter(Boolean), stderr });
    });
  });
}

export const runProgram = (cwd: string, main: string, variables: NodeJS.ProcessEnv = {}): Promise<Result> =>
  main.endsWith('.mts')
    ? nodeWith(variables, cwd, '--import', pathToFileURL(`${root}scripts/typescript.js`).href, main)
    : nodeWith(variables, cwd, main);

export const tsc = (cwd: string, ...args: string[]): Promise<Result> => node(cwd, `${root}node_modules/typescript/bin/tsc`, ...args);
