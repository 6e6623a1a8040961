/**
 * A socket that can be left alone at any time: after `pause` not a byte is read, however many have come, so that another thread may read
 * them. An ordinary socket goes on reading for its buffer.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import type { Client } from 'pg';
import { internals } from './internals.ts';

/** What is read at a time, in bytes, as Node does. */
const PIECE = 65_536;

const sockets = new WeakSet<object>();

/** `fd`: a descriptor that belongs to this socket from now on. Without one it is to be connected. */
export function parkingSocket(fd?: number): Socket {
  const onread: OnReadOpts = {
    buffer: Buffer.allocUnsafeSlow(PIECE),
    callback: (size, buffer) => {
      // The next piece overwrites this one.
      socket.emit('data', Buffer.from(buffer.subarray(0, size)));
      return true;
    },
  };
  const options: SocketConstructorOpts & { onread: OnReadOpts } =
    fd === undefined ? { onread } : { fd, readable: true, writable: true, onread };
  const socket = new Socket(options);
  sockets.add(socket);
  return socket;
}

/** A client that has not connected, and is to speak without TLS, gets such a socket. Under TLS the thread that has the keys must read. */
export function useParkingSocket(client: Client): void {
  const { connection } = internals(client);
  if (connection.ssl || !(connection.stream instanceof Socket)) return;
  connection.stream.destroy();
  Object.assign(connection, { stream: parkingSocket() });
}

/** Closes a descriptor that is of no use. (A worker's `fs.closeSync` warns of one that it has not opened.) */
export function closeDescriptor(fd: number): void {
  new Socket({ fd, readable: false, writable: false }).destroy();
}

export const isParkingSocket = (socket: object): boolean => sockets.has(socket);
