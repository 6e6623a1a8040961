/** The package as a stranger gets it: packed, installed into an empty project, run with plain node, and compiled against. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { root } from '../docs/markdown.ts';
import { firstExample } from '../docs/programs.ts';
import { folder, node, runProgram, tsc } from '../docs/run.ts';

const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
  version: string;
  exports: Record<string, { types: string; default: string }>;
};
let project: string;
let installed: string;

const npm = (cwd: string, ...args: string[]): string =>
  execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], shell: process.platform === 'win32' });

/** Files below a folder, as paths from there. */
const filesIn = (path: string): string[] =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(path.length + 1)
        .replaceAll('\\', '/'),
    )
    .sort();

beforeAll(() => {
  project = folder();
  // dist is built already, and others are running from it: no scripts.
  const [{ filename }] = JSON.parse(npm(root, 'pack', '--ignore-scripts', '--json', '--pack-destination', project)) as {
    filename: string;
  }[];
  writeFileSync(join(project, 'package.json'), '{ "name": "stranger", "version": "1.0.0", "private": true }');
  npm(project, 'install', `./${filename}`, '--offline', '--no-audit', '--no-fund');
  installed = join(project, 'node_modules/cenote');
});

describe('the tarball', () => {
  test('holds what is needed, and nothing else', () => {
    const files = filesIn(installed);
    expect([...new Set(files.map((file) => file.split('/')[0]))].sort()).toEqual(
      ['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'dist', 'docs', 'package.json'].sort(),
    );
    expect(files.filter((file) => file.startsWith('dist/') && !/\.(c?js|d\.c?ts|c?js\.map|html)$/.test(file))).toEqual([]);
    expect(files.filter((file) => file.startsWith('docs/') && !/\.(md|svg|png|json)$/.test(file))).toEqual([]);
  });

  test('has every file that it says it exports', () => {
    const files = filesIn(installed);
    for (const target of Object.values(manifest.exports).flatMap((entry) =>
      typeof entry === 'string' ? [entry] : [entry.types, entry.default],
    ))
      expect(files).toContain(target.replace('./', ''));
  });

  test('has no machine paths in it', () => {
    const telling = [root, 'file:///'];
    const found = filesIn(installed).filter((file) => {
      const text = readFileSync(join(installed, file), 'utf8');
      return telling.some((path) => text.includes(path)) || /["'(\s]\/(?:home|root|Users|work)\//.test(text);
    });
    expect(found).toEqual([]);
  });

  test('brings no dependencies, and no scripts that run on installing', () => {
    expect(readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.'))).toEqual(['cenote']);
    const { dependencies, scripts } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    expect(dependencies).toBeUndefined();
    expect(Object.keys(scripts).filter((name) => /install|^prepare$/.test(name))).toEqual([]);
  });

  test('declares no type that is not there: every relative import of a declaration has its file', () => {
    const files = new Set(filesIn(installed));
    const missing: string[] = [];
    for (const file of [...files].filter((name) => name.endsWith('.d.ts'))) {
      for (const [, specifier] of readFileSync(join(installed, file), 'utf8').matchAll(/(?:from |import\()['"](\.[^'"]+)['"]/g)) {
        const target = join(dirname(file), specifier).replace(/\.(ts|js)$/, '.d.ts');
        if (!files.has(target)) missing.push(`${file}: ${specifier}`);
      }
    }
    expect(missing).toEqual([]);
  });
});

describe('installed', () => {
  test('the first example of the README runs with plain node', async () => {
    const { files, main, prints } = firstExample();
    for (const [name, code] of files) writeFileSync(join(project, name), code);
    expect(await runProgram(project, main)).toEqual({ code: 0, lines: prints, stderr: '' });
  });

  test('can be imported from CommonJS, and says its version', async () => {
    writeFileSync(
      join(project, 'old.cjs'),
      `import('cenote').then(({ createPool }) => console.log(typeof createPool));
import('cenote/worker').then(({ attachPool }) => console.log(typeof attachPool));
console.log(require('cenote/package.json').version);`,
    );
    const { code, lines, stderr } = await node(project, 'old.cjs');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(lines.sort()).toEqual([manifest.version, 'function', 'function'].sort());
  });

  test('brings a command: npx cenote bench', () => {
    const npx = (...args: string[]): string => npm(project, 'exec', '--offline', '--', 'cenote', ...args);
    expect(npx('--version')).toBe(`${manifest.version}\n`);
    const short = ['--threads', '2', '--slots', '1', '--hold', '5us', '--seconds', '0.05', '--rounds', '1'];
    expect(npx('bench', ...short, '--html', 'report.html')).toMatch(/^mode +threads .*\n(?:.*\n)*sync +2 +1 +5 us +cenote +[\d,.]+ /);
    expect(readFileSync(join(project, 'report.html'), 'utf8')).toContain('</html>');
  });

  test.skipIf(process.platform === 'win32')('brings the command to the tree that it is built in, too', () => {
    expect(npm(root, 'exec', '--offline', '--', 'cenote', '--version')).toBe(`${manifest.version}\n`);
  });

  test('shows nothing but its entry points', async () => {
    writeFileSync(join(project, 'deep.mjs'), `await import('cenote/dist/shared/words/slot.js');`);
    const { code, stderr } = await node(project, 'deep.mjs');
    expect(code).toBe(1);
    expect(stderr).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });
});

const CONSUMER = `
import { CircuitBreakerState, consecutiveFailures, createPool, failureRate, PoolError } from 'cenote';
import type { AcquireOptions, CircuitBreaker, CircuitBreakerStrategy, DestroyReason, Lease, Percentiles, Pool, PoolEvents, PoolHandle, PoolOptions, PoolStats, ResourcePool } from 'cenote';
import { attachPool, type AttachedPool, type Remote, type SyncRemote } from 'cenote/worker';

class Connection {
  readonly id: number = 1;
  async query(text: string, values?: readonly unknown[]): Promise<{ rows: number[] }> { return { rows: [text.length, values?.length ?? 0] }; }
  ping(): boolean { return true; }
}

const options: PoolOptions<Connection> = {
  factory: ({ signal }) => { signal.throwIfAborted(); return new Connection(); },
  healthcheck: async (connection) => { await connection.query('select 1'); },
  circuitBreaker: failureRate({ rate: 0.5 }),
  expose: ['query', 'ping'],
  max: 4,
};

export async function owner(): Promise<void> {
  const pool: Pool<Connection> = await createPool(options);
  const inferred = await createPool({ factory: async () => new Connection() });
  const same: Pool<Connection> = inferred;
  const strategy: CircuitBreakerStrategy = consecutiveFailures({ threshold: 3 });
  pool.setCircuitBreakerStrategy(strategy);
  const rows: number[] = await pool.use(async (connection) => (await connection.query('x')).rows);
  const maybe: Connection | null = await pool.tryAcquire();
  const acquire: AcquireOptions = { timeout: 5, signal: AbortSignal.timeout(5) };
  const lease: Lease<Connection> = await pool.lease(acquire);
  lease.resource.ping();
  lease.release();
  lease[Symbol.dispose]();
  await lease[Symbol.asyncDispose]();
  pool.on('destroy', (connection, reason) => { const r: DestroyReason = reason; console.log(connection.id, r); })
    .once('state', (next, previous) => console.log(next === CircuitBreakerState.INACTIVE, previous));
  const events: (keyof PoolEvents<Connection>)[] = ['create', 'close'];
  const stats: PoolStats = pool.stats();
  const wait: Percentiles = stats.waitTime;
  const breaker: CircuitBreaker = pool;
  const either: ResourcePool<Connection> = same;
  try { await pool.close(); } catch (error) { if (error instanceof PoolError) console.log(error.code, error.pool); }
  await pool[Symbol.asyncDispose]();
  console.log(rows, maybe, events, wait, breaker, either);
  // @ts-expect-error not an event
  pool.on('exploded', () => {});
  // @ts-expect-error not a method of the resource
  await createPool<Connection>({ factory: () => new Connection(), expose: ['id'] satisfies 'query'[] });
}

export async function worker(handle: PoolHandle<Connection>): Promise<void> {
  const pool: AttachedPool<Connection> = await attachPool(handle);
  const remote: Remote<Connection> = await pool.acquire();
  const pong: boolean = await remote.ping();
  const { rows }: { rows: number[] } = await remote.query('x', [1]);
  pool.release(remote);
  const sync: SyncRemote<Connection> = pool.acquireSync({ timeout: 1 });
  const also: boolean = sync.ping();
  const answer: { rows: number[] } = sync.query('x');
  pool.destroy(sync, new Error('broken'));
  // @ts-expect-error a property is not a method
  remote.id;
  // @ts-expect-error wrong argument
  await remote.query(1);
  console.log(pong, rows, also, answer, pool.useSync((connection) => connection.ping()));
  await pool.detach();
}
`;

describe('types', () => {
  const base = { strict: true, noEmit: true, skipLibCheck: false, types: ['node'], target: 'es2022' };
  const compile = async (compilerOptions: object, code = CONSUMER) => {
    const cwd = join(project, `types-${readdirSync(project).length}`);
    mkdirSync(join(cwd, 'node_modules/@types'), { recursive: true });
    symlinkSync(installed, join(cwd, 'node_modules/cenote'), 'dir');
    symlinkSync(`${root}node_modules/@types/node`, join(cwd, 'node_modules/@types/node'), 'dir');
    writeFileSync(join(cwd, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(cwd, 'consumer.ts'), code);
    writeFileSync(join(cwd, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...base, ...compilerOptions }, files: ['consumer.ts'] }));
    return tsc(cwd, '-p', '.');
  };
  const fine = { code: 0, lines: [], stderr: '' };

  test('compile with module nodenext, lib es2022, libraries checked', async () => {
    expect(await compile({ module: 'nodenext', lib: ['es2022'] })).toEqual(fine);
  });

  test('compile with module resolution bundler, and exact optional properties', async () => {
    // @types/node itself does not pass the latter.
    const exact = { exactOptionalPropertyTypes: true, skipLibCheck: true };
    expect(await compile({ module: 'esnext', moduleResolution: 'bundler', lib: ['es2022', 'dom'], ...exact })).toEqual(fine);
  });

  test('compile with module resolution bundler, libraries checked', async () => {
    expect(await compile({ module: 'esnext', moduleResolution: 'bundler', lib: ['es2022', 'dom'] })).toEqual(fine);
  });

  test('allow using, where the consumer’s lib has it', async () => {
    const code = `import { createPool } from 'cenote';
await using pool = await createPool({ factory: () => ({ ping: () => 1 }) });
using lease = await pool.lease();
const one: number = lease.resource.ping();
export { one };`;
    expect(await compile({ module: 'nodenext', lib: ['es2022', 'esnext.disposable'] }, code)).toEqual(fine);
  });
});
