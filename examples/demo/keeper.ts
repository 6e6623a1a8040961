import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Something that a keeper process holds for us; keep.js is the other side. */
export interface Kept<T> {
  readonly value: T;
  /** Has it taken away, and resolves when it is. The end of this process, of whatever kind, does the same. */
  stop(): Promise<void>;
  /** Has it do one of its orders. */
  order(name: string): Promise<void>;
}

export interface KeeperOptions {
  args?: string[];
  env?: NodeJS.ProcessEnv;
  /** Ends a start half-way: when the promise rejects, everything is gone again. */
  signal?: AbortSignal | undefined;
}

export async function startKeeper<T>(script: URL, { args = [], env, signal }: KeeperOptions = {}): Promise<Kept<T>> {
  signal?.throwIfAborted();
  const child = spawn(process.execPath, [fileURLToPath(script), ...args], {
    // Our loaders and inspectors are none of the keeper's business.
    env: { ...process.env, NODE_OPTIONS: '', ...env },
    stdio: ['pipe', 'pipe', 'ignore'],
    // Ctrl-C reaches the whole process group. The keeper is to outlive us, so it has a group of its own.
    detached: true,
  });
  const closed = once(child, 'close').catch(() => {});
  let complaint: string | undefined;
  const orders: ((failed: string | undefined) => void)[] = [];
  const ready = new Promise<T>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const message = JSON.parse(line);
      if (message.done) return void orders.shift()?.(message.failed);
      complaint = message.error;
      if (!complaint) resolve(message.ready);
    });
    child.once('error', reject);
    child.once('close', (code, by) => reject(new Error(complaint ?? `${script.pathname.split('/').at(-1)} ended with ${by ?? code}`)));
  });
  // It may be killed under our hands.
  child.stdin.on('error', () => {});

  // The keeper alone does not keep us running: a program that forgets stop() ends all the same.
  const handles = [child, child.stdin as Socket, child.stdout as Socket];
  const stop = async () => {
    for (const handle of handles) handle.ref();
    child.stdin.end();
    await closed;
    if (complaint) throw new Error(complaint);
  };
  const order = (name: string) =>
    new Promise<void>((resolve, reject) => {
      orders.push((failed) => (failed === undefined ? resolve() : reject(new Error(failed))));
      child.stdin.write(`${name}\n`);
      // It may be killed meanwhile.
      closed.then(() => reject(new Error('the keeper has ended')));
    });
  const abort = () => child.stdin.end();
  signal?.addEventListener('abort', abort);
  try {
    const value = await ready;
    for (const handle of handles) handle.unref();
    return { value, stop, order };
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}
