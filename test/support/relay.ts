/** A network between programs and a server that can be cut, frozen and mended, for a server that listens on a port or a Unix socket. */
import { type AddressInfo, createServer, connect as dial, type NetConnectOpts, type Socket } from 'node:net';

export interface Relay {
  readonly port: number;
  /** Connections that have come so far. */
  readonly come: number;
  /** Nothing goes through any more, in either direction, and nobody is told; new connections get no answer. */
  freeze(): void;
  /** New connections are served again. Frozen ones stay as they are. */
  thaw(): void;
  /** Every connection that there is breaks. */
  cut(): void;
  /** New connections are answered with these bytes, whatever they say. Undefined: they are served again. */
  answer(bytes: Buffer | undefined): void;
  close(): Promise<void>;
}

export async function relay(to: NetConnectOpts): Promise<Relay> {
  const sockets = new Set<Socket>();
  let isFrozen = false;
  let bytes: Buffer | undefined;
  let come = 0;
  const server = createServer((near) => {
    come++;
    sockets.add(near);
    near.on('error', () => {});
    near.on('close', () => sockets.delete(near));
    if (isFrozen) return void near.pause();
    if (bytes !== undefined) return void near.write(bytes);
    const far = dial(to);
    sockets.add(far);
    far.on('error', () => near.destroy());
    far.on('close', () => {
      sockets.delete(far);
      near.destroy();
    });
    near.on('close', () => far.destroy());
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    get come() {
      return come;
    },
    freeze: () => {
      isFrozen = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    thaw: () => {
      isFrozen = false;
    },
    cut,
    answer: (given) => {
      bytes = given;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        cut();
      }),
  };
}
