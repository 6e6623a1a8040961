/** A Node process of its own, for what only a process can show: that it ends by itself, or does not, or crashes. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** Milliseconds for its start, up to the first line of output, and for all that follows. Only what is stuck takes as long. */
const START = 60_000;
const REST = 20_000;
const root = fileURLToPath(new URL('../..', import.meta.url));

export interface ChildResult {
  /** Exit code; null when it had to be killed. */
  code: number | null;
  /** It was still running at the bound. */
  stuck: boolean;
  /** Lines of standard output. */
  lines: string[];
  stderr: string;
}

/**
 * Runs an ES module text in a new process in which `cenote` and `cenote/worker` can be imported. Kills it when it still runs 20 s after its first
 * line of output, or has printed none for a minute. What might keep it alive must last longer than that.
 */
export function child(script: string): Promise<ChildResult> {
  const run = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  onTestFinished(() => {
    run.kill('SIGKILL');
  });
  let stdout = '';
  let stderr = '';
  let stuck = false;
  const kill = (): void => {
    stuck = true;
    run.kill('SIGKILL');
  };
  let timer = setTimeout(kill, START);
  run.stdout.on('data', (chunk) => {
    if (stdout === '') {
      clearTimeout(timer);
      timer = setTimeout(kill, REST);
    }
    stdout += chunk;
  });
  run.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    run.on('error', reject);
    run.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stuck, lines: stdout.split('\n').filter(Boolean), stderr });
    });
  });
}
