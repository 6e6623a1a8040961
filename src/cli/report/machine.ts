/** The machine that was measured: figures without it mean nothing. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly platform: string;
  readonly node: string;
  readonly v8: string;
  /** The load average of the minute before the run; null where the system has none. Well above 0, the machine had other work. */
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
