/** Fake timers for the core, which takes its timers from Node and not from globals. */
import { syncBuiltinESMExports } from 'node:module';
import { performance as ofNode } from 'node:perf_hooks';
import timers from 'node:timers';
import { vi } from 'vitest';

/** To be called when the globals have been replaced, and again when they are themselves. */
export function reachTheCore(): void {
  const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate } = globalThis;
  Object.assign(timers, { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate });
  syncBuiltinESMExports();
  if (vi.isMockFunction(ofNode.now)) vi.mocked(ofNode.now).mockRestore();
  if (performance !== ofNode) vi.spyOn(ofNode, 'now').mockImplementation(() => performance.now());
}
