/** What was measured on: figures without it mean nothing. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly platform: string;
  readonly node: string;
  readonly v8: string;
  /** Average of the last minute when the run began; null where the system does not say. Well above 0: somebody else was busy. */
  readonly load: number | null;
}

export function describeMachine(): Machine {
  const [load] = loadavg();
  return {
    cpu: cpus()[0]?.model.trim() || 'unknown CPU',
    cores: availableParallelism(),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    v8: process.versions.v8,
    load: process.platform === 'win32' ? null : load,
  };
}

export function sayMachine({ cpu, cores, platform, node, v8, load }: Machine): string {
  const before = load === null ? '' : `, load before the run ${load.toFixed(1)}`;
  return `${cpu}, ${cores} ${cores === 1 ? 'core' : 'cores'}, ${platform}, node ${node} (V8 ${v8})${before}`;
}

export const VERSION: string = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')).version;
