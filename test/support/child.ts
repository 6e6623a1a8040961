/** A Node process of its own, for what only a process can show: that it ends by itself, or does not, or crashes. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const BOUND = 8000;
const root = fileURLToPath(new URL('../..', import.meta.url));

export interface ChildResult {
  /** Exit code; null when it had to be killed. */
  code: number | null;
  /** It was still running at the bound. */
  stuck: boolean;
  /** Lines of standard output. */
  lines: string[];
  stderr: string;
  /** From the first line of output (print 'ready' when the set-up is done) to the end. */
  ms: number;
}

/**
 * Runs an ES module text in a new process in which `cenote` and `cenote/worker` can be imported. Kills it after 8 s; or `alive` ms after its first line of output, for
 * what should still be running then.
 */
export function child(script: string, alive?: number): Promise<ChildResult> {
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
  let started = performance.now();
  let stuck = false;
  const kill = (): void => {
    stuck = true;
    run.kill('SIGKILL');
  };
  let timer = setTimeout(kill, BOUND);
  run.stdout.on('data', (chunk) => {
    if (stdout === '') {
      started = performance.now();
      if (alive !== undefined) {
        clearTimeout(timer);
        timer = setTimeout(kill, alive);
      }
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
      resolve({ code, stuck, lines: stdout.split('\n').filter(Boolean), stderr, ms: performance.now() - started });
    });
  });
}
