/**
 * On the owner: a second descriptor of a connection's socket, for a thread that is to read and write there by itself. Node offers none for
 * a socket that is in use; the operating system does, and koffi, a package that the program may install, calls it.
 */
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type { Client } from 'pg';
import { internals } from './internals.ts';
import { closeDescriptor, isParkingSocket } from './parking-socket.ts';

/** The command of fcntl that makes a copy which child processes do not inherit. */
const F_DUPFD_CLOEXEC: Partial<Record<NodeJS.Platform, number>> = { linux: 1030, darwin: 67 };

interface Koffi {
  load(library: null): { func(signature: string): (descriptor: number, command: number, lowest: number) => number };
}

type Duplicate = (descriptor: number) => number;

/** Makes copies of descriptors, or says why it cannot. */
export class Descriptors {
  readonly #duplicate: Duplicate | undefined;
  /** Why there are none; undefined if there are. */
  readonly why: string | undefined;

  private constructor(found: Duplicate | string) {
    if (typeof found === 'string') this.why = found;
    else this.#duplicate = found;
  }

  static find(): Descriptors {
    return new Descriptors(find());
  }

  static none(why: string): Descriptors {
    return new Descriptors(why);
  }

  /** A copy, which is to be closed; undefined if this connection's socket can have none. */
  of(client: Client): number | undefined {
    const socket = internals(client).connection.stream as unknown as Socket & { _handle?: { fd?: unknown } };
    const fd = isParkingSocket(socket) && !socket.destroyed ? socket._handle?.fd : undefined;
    if (this.#duplicate === undefined || typeof fd !== 'number' || fd < 0) return undefined;
    const copy = this.#duplicate(fd);
    return copy < 0 ? undefined : copy;
  }

  close(copy: number): void {
    closeDescriptor(copy);
  }
}

function find(): Duplicate | string {
  const command = F_DUPFD_CLOEXEC[process.platform];
  if (command === undefined) return `descriptors cannot be copied on ${process.platform}`;
  let koffi: Koffi;
  try {
    koffi = createRequire(import.meta.url)('koffi') as Koffi;
  } catch {
    return 'koffi is not installed: npm install koffi';
  }
  try {
    const fcntl = koffi.load(null).func('int fcntl(int, int, int)');
    if (fcntl(-1, command, 0) !== -1) return 'this version of koffi does not call fcntl as expected';
    return (descriptor) => fcntl(descriptor, command, 0);
  } catch (error) {
    return `koffi cannot be used here: ${(error as Error).message.split('\n', 1)[0]}`;
  }
}
