import { execFile } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/**
 * Keeps this thread on the core of the others of its process, where the system lets us: only one of them runs at a time, and to hand over within
 * a core is several times as cheap. Each process of Vitest takes another core.
 */
export function stayOnOneCore(): void {
  if (process.platform !== 'linux') return;
  const core = Number(process.env.VITEST_POOL_ID ?? 0) % availableParallelism();
  const [, thread] = /task\/(\d+)$/.exec(readlinkSync('/proc/thread-self'))!;
  execFile('taskset', ['-pc', String(core), thread], () => {}).unref();
}
