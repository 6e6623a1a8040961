/** The dashboard's server: what it shows, to whom, and to how many. */
import { execFile } from 'node:child_process';
import { type IncomingMessage, request } from 'node:http';
import { promisify } from 'node:util';
import { type DashboardOptions, type Snapshot, serveDashboard } from 'cenote/observe';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Body, newFlag, open as openRunner, run } from '../jobs/support.ts';
import { open } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { outcome, settled, until } from '../support/wait.ts';

const root = new URL('../../', import.meta.url);

async function serve(options?: DashboardOptions) {
  const pool = await open<Service>({ factory: service(), name: 'p', min: 1, max: 2 });
  const dashboard = await serveDashboard([pool], options);
  onTestFinished(() => dashboard.close());
  return { pool, dashboard, url: dashboard.url };
}

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  text: string;
}

/** By hand, as fetch sets the Host header itself. */
function get(url: string, path: string, { method = 'GET', ...headers }: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const asked = request({ hostname: hostname.replace(/[[\]]/g, ''), port, path, method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }));
      response.on('error', reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}

describe('serveDashboard', () => {
  test('serves a page that loads nothing, a snapshot, and metrics', async () => {
    const { pool, url } = await serve({ title: 'Harbour' });
    const page = await get(url, '/');
    expect(page.status).toBe(200);
    expect(page.headers['content-type']).toContain('text/html');
    const policy = page.headers['content-security-policy'] as string;
    expect(policy).not.toContain('unsafe-inline');
    expect(policy).toMatch(/script-src 'sha256-/);
    expect(page.text).not.toMatch(/\b(?:src|href)="(?!data:)/);
    expect(page.text).not.toMatch(/\sstyle="|\son\w+="/);

    const held = await pool.acquire();
    const snapshot = JSON.parse((await get(url, '/snapshot')).text) as Snapshot;
    expect(snapshot).toMatchObject({
      title: 'Harbour',
      pools: [{ name: 'p', count: 1, idle: 0, used: 1, making: 0, max: 2, waiting: 0 }],
      inspection: { slots: [{ state: 'leased', threadId: 0 }, { state: 'empty' }], line: [], knots: [] },
    });
    expect(Math.abs(snapshot.at - Date.now())).toBeLessThan(60_000);
    const metrics = await get(url, '/metrics');
    expect(metrics.headers['content-type']).toContain('text/plain; version=0.0.4');
    expect(metrics.text).toContain('cenote_pool_acquired_total{pool="p"} 1');
    pool.release(held);
  });

  test('sends a snapshot each second', async () => {
    const { url } = await serve();
    const response = await fetch(`${url}/events`);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const seen: Snapshot[] = [];
    let rest = '';
    for await (const chunk of response.body!) {
      rest += Buffer.from(chunk).toString();
      const events = rest.split('\n\n');
      rest = events.pop()!;
      for (const event of events) seen.push(JSON.parse(event.replace(/^data: /, '')));
      if (seen.length >= 2) break;
    }
    expect(seen[1]!.at - seen[0]!.at).toBeGreaterThan(500);
  });

  test('only reads: other methods get 405, other routes 404', async () => {
    const { url } = await serve();
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) expect((await get(url, '/snapshot', { method })).status).toBe(405);
    for (const path of ['/nothing', '/snapshot/', '//', '/../package.json', '/favicon.ico', '*'])
      expect((await get(url, path)).status).toBe(404);
  });

  test('a Host header of another site gets 421', async () => {
    const { url } = await serve();
    const { port } = new URL(url);
    for (const host of ['evil.example', `evil.example:${port}`, '10.0.0.1', '127.0.0.1.evil.example', 'localhost.evil.example'])
      expect((await get(url, '/', { host })).status, host).toBe(421);
    for (const host of ['localhost', `localhost:${port}`, `127.0.0.1:${port}`, '[::1]'])
      expect((await get(url, '/', { host })).status, host).toBe(200);
  });

  test('a token lets in by header, and by the address once and then by a cookie', async () => {
    const { url } = await serve({ token: 'open sesame' });
    expect((await get(url, '/')).status).toBe(401);
    expect((await get(url, '/snapshot', { authorization: 'Bearer wrong' })).status).toBe(401);
    expect((await get(url, '/snapshot?token=wrong')).status).toBe(401);
    expect((await get(url, '/nothing')).status).toBe(401);
    expect((await get(url, '/snapshot', { authorization: 'Bearer open sesame' })).status).toBe(200);
    const first = await get(url, '/?token=open%20sesame');
    expect(first.status).toBe(200);
    const [cookie] = first.headers['set-cookie']!;
    expect(cookie).toMatch(/HttpOnly/);
    expect(cookie).toMatch(/SameSite=Strict/);
    expect(cookie).not.toContain('sesame');
    const [pair] = cookie!.split(';');
    expect((await get(url, '/snapshot', { cookie: `other=1; ${pair}` })).status).toBe(200);
    expect((await get(url, '/snapshot', { cookie: `${pair!.split('=')[0]}=wrong` })).status).toBe(401);
  });

  test.each([
    [{ host: '0.0.0.0' }, TypeError, 'can be reached by others'],
    [{ host: '::' }, TypeError, 'can be reached by others'],
    [{ host: '' }, TypeError, 'can be reached by others'],
    [{ host: 'example.com' }, TypeError, 'can be reached by others'],
    [{ token: '' }, TypeError, 'token must be a text that is not empty'],
    [{ token: 3 }, TypeError, 'token must be'],
    [{ port: 70_000 }, RangeError, 'port must be a whole number from 0 to 65535, not 70000'],
    [{ port: '80' }, TypeError, 'port must be a number'],
    [{ title: 3 }, TypeError, 'title must be a text'],
    [{ hots: 'a' }, TypeError, 'do you mean host'],
  ])('rejects %j before it listens', async (options, type, message) => {
    const failed = await serveDashboard([], options as never).catch((error: unknown) => error as Error);
    expect(failed).toBeInstanceOf(type);
    expect((failed as Error).message).toContain(message);
  });

  test('0.0.0.0 with a token listens, and is found by the address that it came in at', async () => {
    const { url } = await serve({ host: '0.0.0.0', token: 't' });
    expect((await get(url, '/snapshot', { authorization: 'Bearer t' })).status).toBe(200);
    expect((await get(url, '/snapshot', { authorization: 'Bearer t', host: 'evil.example' })).status).toBe(421);
  });

  test('a port in use is the system’s error', async () => {
    const { url } = await serve();
    await expect(serveDashboard([], { port: Number(new URL(url).port) })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  test('32 may listen; those who do not read are dropped', async () => {
    const { url } = await serve();
    const { hostname, port } = new URL(url);
    const asked: ReturnType<typeof request>[] = [];
    onTestFinished(() => {
      for (const each of asked) each.destroy();
    });
    const listen = (): Promise<number> =>
      new Promise((resolve) => {
        const one = request({ hostname, port, path: '/events' }, (response) => {
          response.on('error', () => {});
          resolve(response.statusCode!);
        });
        one.on('error', () => {});
        asked.push(one);
        one.end();
      });
    const statuses = await Promise.all(Array.from({ length: 32 }, listen));
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(await listen()).toBe(503);
    asked[0]!.destroy();
    await until(async () => (await listen()) === 200);
  });

  test('closing ends it for all, twice if need be', async () => {
    const { url, dashboard } = await serve();
    const events = await fetch(`${url}/events`);
    const ended = (async () => {
      for await (const _ of events.body!);
    })().catch(() => {});
    await Promise.all([dashboard.close(), dashboard.close()]);
    await settled(ended);
    await expect(fetch(url)).rejects.toThrow();
  });

  test('shows a runner’s numbers and what it hears of its jobs', async () => {
    let tell: ((progress: object) => void) | undefined;
    const runner = { stats: () => ({ running: 1, name: 'r' }), on: (_: string, listener: never) => void (tell = listener) };
    const { url } = await serve({ runner });
    tell!({ job: 3, name: 'import', done: 1, total: 4 });
    tell!({ job: 3, name: 'import', done: 2, total: 4 });
    expect(JSON.parse((await get(url, '/snapshot')).text).jobs).toEqual({
      stats: { running: 1 },
      progress: [{ job: 3, name: 'import', done: 2, total: 4 }],
    });
    // A message stands until there is another. Many short jobs do not push out a long one.
    tell!({ job: 3, name: 'import', done: 3, total: 4, message: 'prices' });
    tell!({ job: 3, name: 'import', done: 3, total: 4 });
    for (let job = 10; job < 500; job++) tell!({ job, done: 1, total: 1 });
    const { progress } = JSON.parse((await get(url, '/snapshot')).text).jobs;
    expect(progress).toHaveLength(200);
    expect(progress[0]).toEqual({ job: 3, name: 'import', done: 3, total: 4, message: 'prices' });
    expect(progress[1].job).toBe(499);
    await expect(serveDashboard([], { runner: {} as never })).rejects.toThrow('runner must be a JobRunner');
  });

  test('shows a job as under way as long as it runs, and not when it has failed or was cancelled', async () => {
    const runner = openRunner({ maxThreads: 3, grace: 60_000, progressInterval: 1 });
    const { url } = await serve({ runner });
    const progress = async (): Promise<unknown[]> => JSON.parse((await get(url, '/snapshot')).text).jobs.progress;
    const says: Body = async (context, done: number, total: number, ends: Int32Array) => {
      context.progress(done, total);
      while (Atomics.load(ends, 0) === 0) await pause(1);
      if (done === 1) throw new Error('of the job');
    };
    const [ends, never] = [newFlag(), newFlag()];
    const abort = new AbortController();
    const begun = async (jobs: number): Promise<unknown> => await until(async () => (await progress()).length === jobs);
    const through = run(runner, says, [4, 4, ends]);
    await begun(1);
    const fails = outcome(run(runner, says, [1, 4, ends]));
    await begun(2);
    const cancelled = outcome(run(runner, says, [3, 4, never], { signal: abort.signal }));
    await begun(3);
    // By number: the first says that all is done, and goes on.
    expect(await progress()).toMatchObject([{ job: 1 }, { job: 2 }, { job: 3 }]);
    abort.abort();
    await settled(cancelled);
    expect(await progress()).toMatchObject([{ job: 1 }, { job: 2 }]);
    Atomics.store(ends, 0, 1);
    await settled(Promise.all([through, fails]));
    // It is shown for ten seconds more.
    for (const job of await progress()) expect(job).toMatchObject({ job: 1, done: 4, total: 4 });
  });

  test('neither it nor its readers keep the process alive', async () => {
    const program = `
      import { createPool } from 'cenote';
      import { serveDashboard } from 'cenote/observe';
      const pool = await createPool({ factory: () => ({}), min: 1 });
      const { url } = await serveDashboard([pool]);
      const { connect } = await import('node:net');
      const { hostname, port } = new URL(url);
      const reader = connect(port, hostname);
      reader.write('GET /events HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n');
      const [chunk] = await (await import('node:events')).once(reader, 'data');
      console.log(chunk.length > 100);
      reader.unref();
      process.exitCode = 3;
      setTimeout(() => process.exit(4), 20000).unref();`;
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { cwd: root, timeout: 60_000 });
    const { code, stdout } = (await run.catch((error: unknown) => error)) as { code: number; stdout: string };
    expect(stdout).toBe('true\n');
    expect(code).toBe(3);
  });
});
