/** A network between a pool and its server that breaks after so many bytes of one direction. */
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import type { ClientConfig } from 'pg';
import { onTestFinished } from 'vitest';
import { postgres } from './postgres.ts';

export type Direction = 'to the server' | 'to the client';

export interface CuttingProxy {
  /** For pg: the server, by way of this. */
  readonly settings: ClientConfig;
  /** From now on so many bytes go in that direction, and then every connection breaks. */
  cutAfter(direction: Direction, bytes: number): void;
  /** No connection is cut any more. What was cut since `cutAfter`: nothing, between two pieces of what was sent, or within one. */
  heal(): 'nothing' | 'between' | 'within';
}

export async function cuttingProxy(): Promise<CuttingProxy> {
  const url = new URL((await postgres()).url);
  const path = `${url.searchParams.get('host')}/.s.PGSQL.5432`;
  let cut: { readonly direction: Direction; left: number } | undefined;
  let hasCut: 'nothing' | 'between' | 'within' = 'nothing';
  const sockets = new Set<Socket>();

  const pass = (from: Socket, to: Socket, direction: Direction): void => {
    sockets.add(from);
    from.on('error', () => to.destroy());
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
    from.on('data', (bytes) => {
      if (hasCut !== 'nothing') return;
      if (cut?.direction !== direction || bytes.length < cut.left) {
        if (cut?.direction === direction) cut.left -= bytes.length;
        to.write(bytes);
        return;
      }
      hasCut = bytes.length > cut.left ? 'within' : 'between';
      // What goes before the cut arrives.
      to.end(bytes.subarray(0, cut.left), () => {
        from.destroy();
        to.destroy();
      });
    });
  };
  const server = createServer({ noDelay: true }, (near) => {
    const far = dial(path);
    pass(near, far, 'to the server');
    pass(far, near, 'to the client');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    settings: {
      connectionString: undefined,
      host: '127.0.0.1',
      port: (server.address() as AddressInfo).port,
      user: 'postgres',
      password: url.password,
      database: url.pathname.slice(1),
      ssl: false,
    },
    cutAfter: (direction, left) => {
      cut = { direction, left };
    },
    heal: () => {
      const was = hasCut;
      cut = undefined;
      hasCut = 'nothing';
      return was;
    },
  };
}
