/** TLS: what `ssl` says is what every connection has, for its whole life, and for the requests to cancel as well. */
import { X509Certificate } from 'node:crypto';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { inspect } from 'node:util';
import type { ClientConfig } from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Certificate, selfSigned } from '../support/certificate.ts';
import { ask, on, open, postgres, WHERE } from '../support/postgres.ts';
import { proxy } from '../support/proxy.ts';
import { rejection, until } from '../support/wait.ts';

interface Greeting {
  /** The name that the client asked for, and the certificate that it showed. */
  readonly servername: string | false | undefined;
  readonly client: string | undefined;
}

const fingerprint = ({ cert }: Certificate): string => new X509Certificate(cert).fingerprint256;

/** The server, by way of somebody who takes nothing but TLS. */
async function tlsOnly(own: Certificate): Promise<{ settings: ClientConfig; greetings: Greeting[]; refused: () => number }> {
  const url = new URL((await postgres()).url);
  const greetings: Greeting[] = [];
  const sockets = new Set<Socket>();
  let refused = 0;
  const server = createServer((raw) => {
    sockets.add(raw);
    raw.on('error', () => raw.destroy());
    raw.once('data', (asked) => {
      if (asked.toString('hex') !== '0000000804d2162f') {
        refused++;
        return raw.destroy();
      }
      raw.write('S');
      const near = new TLSSocket(raw, { isServer: true, ...own, requestCert: true, rejectUnauthorized: false });
      near.on('error', () => raw.destroy());
      near.once('secure', () => {
        const { servername } = near as TLSSocket & Pick<Greeting, 'servername'>;
        greetings.push({ servername, client: near.getPeerCertificate().fingerprint256 });
        const far = dial(`${url.searchParams.get('host')}/.s.PGSQL.5432`);
        far.on('error', () => near.destroy());
        near.pipe(far);
        far.pipe(near);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as AddressInfo;
  return {
    settings: {
      connectionString: undefined,
      host: '127.0.0.1',
      port,
      user: 'postgres',
      password: url.password,
      database: url.pathname.slice(1),
    },
    greetings,
    refused: () => refused,
  };
}

describe.each(WHERE)('on %s', (where) => {
  test('every connection has all of it: authority, certificate, key and server name', async () => {
    const [server, client] = [selfSigned('db.test'), selfSigned('client.test')];
    const { settings, greetings, refused } = await tlsOnly(server);
    // As the driver leaves it, when somebody has used these settings before.
    const ssl = Object.defineProperty({ ca: server.cert, cert: client.cert, servername: 'db.test' }, 'key', {
      value: client.key,
      enumerable: false,
    });
    const pool = await open({ max: 1, settings: { ...settings, ssl } });
    const run = await on(where, pool);
    const pids = await run(async (p) => {
      const found = [];
      for (let i = 0; i < 3; i++) {
        const one = await p.connect();
        found.push((await one.query('select pg_backend_pid() as pid')).rows[0].pid);
        one.release(true);
      }
      return found;
    });
    expect(new Set(pids).size).toBe(3);
    expect(greetings).toEqual(Array(3).fill({ servername: 'db.test', client: fingerprint(client) }));
    expect(refused()).toBe(0);
  });

  test('a query is cancelled by way of TLS, too', async () => {
    const server = selfSigned('db.test');
    const { settings, greetings, refused } = await tlsOnly(server);
    const pool = await open({ max: 1, settings: { ...settings, ssl: { ca: server.cert } } });
    const run = await on(where, pool);
    const seen = await run(async (p) => {
      const abort = new AbortController();
      const going = p.transaction(
        async (tx) => {
          const sleeping = tx.query('select pg_sleep(600)');
          setTimeout(() => abort.abort(new Error('enough')), 20);
          await sleeping;
        },
        { signal: abort.signal },
      );
      return [await going.catch((error) => error.message), (await p.query('select 1 as a')).rows];
    });
    expect(seen).toEqual(['enough', [{ a: 1 }]]);
    expect(greetings.length).toBeGreaterThan(1);
    expect(refused()).toBe(0);
  });
});

test('a server whose certificate nobody vouches for, or that is for another name, is not spoken to', async () => {
  const server = selfSigned('db.test');
  const { settings } = await tlsOnly(server);
  const cases = [
    [{}, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    [{ ca: server.cert, servername: 'other.test', key: selfSigned('other.test').key }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ] as const;
  for (const [ssl, code] of cases) {
    const pool = await open({ max: 1, settings: { ...settings, ssl } });
    const error = await rejection(pool.query('select 1'));
    expect(error).toMatchObject({ code });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('PRIVATE KEY');
    await until(async () => (await ask('select from pg_stat_activity where application_name = $1', [pool.pool.name])).length === 0);
  }
});

test('TLS that was asked for is not given up where the server has none', async () => {
  const plain = await proxy();
  const pool = await open({ max: 1, settings: { ...plain.settings, ssl: { rejectUnauthorized: false } } });
  expect(await rejection(pool.query('select 1'))).toMatchObject({ message: 'The server does not support SSL connections' });
  expect(await ask('select from pg_stat_activity where application_name = $1', [pool.pool.name])).toEqual([]);
});
