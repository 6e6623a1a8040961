/**
 * A socket that can be left alone at any time: after `pause` not a byte is read, however many have come, so that another thread may read
 * them. An ordinary socket goes on reading for its buffer.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import type { Client } from 'pg';
import type { Custody } from '../messages/custody.ts';
import type { PassedDescriptor } from '../messages/protocol.ts';
import { internals } from './internals.ts';

/** What is read at a time, in bytes, as Node does. */
const PIECE = 65_536;

const sockets = new WeakSet<object>();

/** `fd`: a descriptor that belongs to this socket from now on. Without one it is to be connected. */
export const parkingSocket = (fd?: number): Socket => socketUnless(() => false, fd)!;

/**
 * Of a descriptor that was sent to this thread. Undefined: the owner has taken it back. A thread that is ended after its claim and before
 * it has a socket leaves the descriptor open; so nothing else is done between the two.
 */
export const claimedSocket = ({ fd, pass }: PassedDescriptor, custody: Custody): Socket | undefined =>
  socketUnless(() => !custody.claim(pass), fd);

/** `isLate` is asked at the last moment. */
function socketUnless(isLate: () => boolean, fd: number | undefined): Socket | undefined {
  let socket: Socket;
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
  if (isLate()) return undefined;
  socket = new Socket(options);
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
