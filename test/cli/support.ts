/** The command as a process of its own, run from what is shipped. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  /** Resolves when standard error contains this. */
  says(text: string): Promise<void>;
  readonly ended: Promise<Ended>;
}

/** A folder for this test. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'cenote-cli-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** `node`: options of Node's own. */
export function start(
  args: readonly string[],
  { cwd = root, cli = join(root, 'dist/cli/cli.js'), node = [] as readonly string[] } = {},
): Running {
  const child = spawn(process.execPath, [...node, cli, ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk) => (stderr += chunk));
  const ended = new Promise<Ended>((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
  const says = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => void (stderr.includes(text) && resolve());
      child.stderr.on('data', look);
      child.once('close', () => reject(new Error(`ended without saying ${JSON.stringify(text)}: ${stdout}${stderr}`)));
      look();
    });
  return { child, says, ended };
}

export const run = (...args: readonly string[]): Promise<Ended> => start(args).ended;
