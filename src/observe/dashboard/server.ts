/** The dashboard: a server that only reads, for browsers on this machine or with a token. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { checkFew } from '../../shared/options/option-names.ts';
import { type Snapshot, snapshotOf } from '../inspect.ts';
import { peer } from '../packages.ts';
import { type AnyPool, type Watched, watch } from '../pools.ts';
import { prometheus } from '../prometheus.ts';
import { isLoopback, isMeantFor, Token } from './admission.ts';
import { JobsWatch, type RunnerLike } from './jobs.ts';
import { Listeners } from './listeners.ts';
import { loadPage } from './page.ts';

/** Options of `serveDashboard`. */
export interface DashboardOptions {
  /** Where to listen. Default 0: any port that is free; `url` says which. */
  port?: number | undefined;
  /** The address to listen on. Default '127.0.0.1'. One that others can reach (0.0.0.0, ::, '' too) needs a `token`. */
  host?: string | undefined;
  /** What readers have to show. Default: none. */
  token?: string | undefined;
  /** The page's title. Default 'cenote'. */
  title?: string | undefined;
  /** A JobRunner, whose jobs and their progress are shown, too. Default: none. */
  runner?: RunnerLike | undefined;
}

/** A dashboard that is being served. Disposing it closes it. */
export interface Dashboard extends AsyncDisposable {
  /** Where it is, without the token. */
  readonly url: string;
  /** Ends every connection and stops listening. May be called again. */
  close(): Promise<void>;
}

/**
 * Serves a live page (/), a snapshot as JSON (/snapshot), server-sent events (/events: a snapshot each second), and Prometheus text
 * (/metrics; 501 without prom-client). It only reads: other methods get 405, other routes 404. A reader shows the token as
 * `Authorization: Bearer`, or once as `?token=` and then by a cookie; else 401. A Host header that is neither loopback nor `host` gets
 * 421. At most 32 listen to /events, further ones get 503; slow ones are dropped. Neither it nor its readers keep the process alive.
 *
 * Rejects before it listens with TypeError for what is no pool, for a host that others can reach without a token, and for an empty token;
 * with RangeError for a port that there is not; and with the error of the system where it cannot listen (EADDRINUSE).
 */
export async function serveDashboard(pools: readonly AnyPool[], options: DashboardOptions = {}): Promise<Dashboard> {
  const { port, host, token, title, runner } = checked(options);
  const watched = watch(pools);
  const site = new Site(watched, () => prometheusOf(pools), { host, token, title, runner });
  const server = createServer((request, response) => site.answer(request, response));
  server.on('connection', (socket) => socket.unref());
  try {
    await listen(server, port, host);
  } catch (error) {
    site.end();
    throw error;
  }
  server.unref();
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= new Promise((resolve) => {
      server.close(() => resolve());
      site.end();
      server.closeAllConnections();
    });
    return closed;
  };
  return { url: urlOf(server.address() as AddressInfo), close, [Symbol.asyncDispose]: close };
}

function checked(options: DashboardOptions): { port: number; host: string; title: string } & Pick<DashboardOptions, 'token' | 'runner'> {
  checkFew(options, { of: 'serveDashboard', options: ['port', 'host', 'token', 'title', 'runner'], secret: true });
  const { port = 0, host = '127.0.0.1', token, title = 'cenote', runner } = options;
  if (typeof port !== 'number') throw new TypeError(`port must be a number, not ${JSON.stringify(port)}`);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new RangeError(`port must be a whole number from 0 to 65535, not ${port}`);
  if (typeof host !== 'string') throw new TypeError(`host must be an address or a name, not ${String(host)}`);
  if (typeof title !== 'string') throw new TypeError(`title must be a text, not ${String(title)}`);
  if (token !== undefined && (typeof token !== 'string' || token === '')) throw new TypeError('token must be a text that is not empty');
  if (token === undefined && !isLoopback(host))
    throw new TypeError(`host ${JSON.stringify(host)} can be reached by others: give a token, or leave host out to listen on 127.0.0.1`);
  if (runner !== undefined && (typeof runner?.stats !== 'function' || typeof runner.on !== 'function'))
    throw new TypeError('runner must be a JobRunner');
  return { port, host, title, ...(token === undefined ? {} : { token }), ...(runner === undefined ? {} : { runner }) };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** An address that stands for all of them is shown as the nearest. */
function urlOf({ address, family, port }: AddressInfo): string {
  const shown = address === '0.0.0.0' || address === '::' ? '127.0.0.1' : address;
  return `http://${family === 'IPv6' && shown.includes(':') ? `[${shown}]` : shown}:${port}`;
}

/** In a registry of its own; undefined without prom-client. */
function prometheusOf(pools: readonly AnyPool[]): Registry | undefined {
  try {
    const { Registry } = peer<typeof import('prom-client')>('prom-client', '/metrics');
    return prometheus(pools, { registry: new Registry() });
  } catch {
    return undefined;
  }
}

const HEADERS = {
  'Cache-Control': 'no-store',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Frame-Options': 'DENY',
};

type SiteOptions = { host: string; title: string } & { [name in 'token' | 'runner']: DashboardOptions[name] | undefined };

/** The routes. */
class Site {
  readonly #watched: readonly Watched[];
  readonly #host: string;
  readonly #title: string;
  readonly #token: Token | undefined;
  readonly #jobs: JobsWatch | undefined;
  readonly #listeners = new Listeners(() => JSON.stringify(this.#snapshot()));
  readonly #findRegistry: () => Registry | undefined;
  #registry: Registry | undefined;

  constructor(watched: readonly Watched[], findRegistry: () => Registry | undefined, { host, token, title, runner }: SiteOptions) {
    this.#watched = watched;
    this.#findRegistry = findRegistry;
    this.#host = host;
    this.#title = title;
    this.#token = token === undefined ? undefined : new Token(token);
    this.#jobs = runner === undefined ? undefined : new JobsWatch(runner);
  }

  end(): void {
    this.#listeners.end();
    this.#jobs?.end();
  }

  #snapshot(): Snapshot {
    const snapshot = snapshotOf(this.#watched, this.#title);
    return this.#jobs === undefined ? snapshot : { ...snapshot, jobs: this.#jobs.read() };
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    if (!isMeantFor(this.#host, request)) return refuse(response, 421, 'This server is not the one that was asked for.');
    if (request.method !== 'GET') {
      response.setHeader('Allow', 'GET');
      return refuse(response, 405, 'This server only reads: GET.');
    }
    const { path, query } = partsOf(request.url ?? '/');
    const entry = this.#token?.admits(request, query) ?? { admitted: true };
    if (!entry.admitted) {
      response.setHeader('WWW-Authenticate', 'Bearer');
      return refuse(response, 401, 'A token is needed: as "Authorization: Bearer ...", or in the address as ?token=...');
    }
    if (entry.cookie !== undefined) response.setHeader('Set-Cookie', entry.cookie);
    this.#route(path, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else refuse(response, 500, error instanceof Error ? error.message : String(error));
    });
  }

  async #route(path: string, response: ServerResponse): Promise<void> {
    switch (path) {
      case '/': {
        const { html, policy } = loadPage();
        response.setHeader('Content-Security-Policy', policy);
        return send(response, 'text/html; charset=utf-8', html);
      }
      case '/snapshot':
        return send(response, 'application/json; charset=utf-8', JSON.stringify(this.#snapshot()));
      case '/events':
        if (this.#listeners.isFull) return refuse(response, 503, 'As many listen as may. Try again later, or read /snapshot.');
        response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' });
        return this.#listeners.add(response);
      case '/metrics': {
        const registry = (this.#registry ??= this.#findRegistry());
        if (registry === undefined) return refuse(response, 501, 'prom-client is not installed here: npm install prom-client');
        return send(response, registry.contentType, await registry.metrics());
      }
      default:
        return refuse(response, 404, 'There are /, /snapshot, /events and /metrics.');
    }
  }
}

/** A target that is no path of ours comes out as one that there is not. */
function partsOf(target: string): { path: string; query: URLSearchParams } {
  const [path, query] = target.split(/\?(.*)/s);
  return { path, query: new URLSearchParams(query) };
}

function send(response: ServerResponse, type: string, text: string): void {
  response.writeHead(200, { 'Content-Type': type });
  response.end(text);
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Security-Policy': "default-src 'none'" });
  response.end(`${why}\n`);
}
