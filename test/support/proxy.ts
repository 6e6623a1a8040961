/** A network between a pool and its server that can be cut, and a server that can be gone. */
import { createServer, connect as dial, type Socket } from 'node:net';
import type { ClientConfig } from 'pg';
import { onTestFinished } from 'vitest';
import { freePort } from './free-port.ts';
import { postgres } from './postgres.ts';

export interface Proxy {
  /** For pg: the server, by way of this. */
  readonly settings: ClientConfig;
  /** Every connection that there is breaks. */
  cut(): void;
  /** Nothing goes through any more, and nobody is told. */
  freeze(): void;
  /** What the server says from now on is heard when something was asked, which it does not hear any more: the two have crossed. */
  cross(): void;
  /** Nobody can connect; what is connected is cut. */
  down(): Promise<void>;
  up(): Promise<void>;
}

export async function proxy(): Promise<Proxy> {
  const url = new URL((await postgres()).url);
  const path = `${url.searchParams.get('host')}/.s.PGSQL.5432`;
  const sockets = new Set<Socket>();
  const pairs = new Set<readonly [near: Socket, far: Socket]>();
  const server = createServer((near) => {
    const far = dial(path);
    for (const [socket, other] of [[near, far] as const, [far, near] as const]) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    near.pipe(far);
    far.pipe(near);
    const pair = [near, far] as const;
    pairs.add(pair);
    near.on('close', () => pairs.delete(pair));
  });
  const port = await freePort();
  const listen = (): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => resolve());
    });
  await listen();
  const self: Proxy = {
    settings: {
      connectionString: undefined,
      host: '127.0.0.1',
      port,
      user: 'postgres',
      password: url.password,
      database: url.pathname.slice(1),
      ssl: false,
    },
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    freeze: () => {
      for (const socket of sockets) socket.unpipe().pause();
    },
    cross: () => {
      for (const [near, far] of pairs) {
        near.unpipe(far);
        far.unpipe(near).pause();
        near.once('data', () => far.pipe(near)).resume();
      }
    },
    down: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        self.cut();
      }),
    up: listen,
  };
  onTestFinished(async () => {
    if (server.listening) await self.down();
  });
  return self;
}
