/** Snapshots from a dashboard. */
import type { Snapshot } from '../../observe/index.ts';
import type { TopOptions } from './arguments.ts';

/** It cannot be reached, or does not let us in. Shown without a stack, with exit code 1. */
export class FeedError extends Error {}

/** Ms for one answer. */
const PATIENCE = 10_000;

/** Throws FeedError. */
export async function fetchSnapshot(options: TopOptions): Promise<Snapshot> {
  const response = await get(options, 'snapshot', AbortSignal.timeout(PATIENCE));
  return read(options, await response.text().catch((error: unknown) => unreachable(options, error)));
}

/** One for each event, until the signal aborts. Throws FeedError, also where the stream ends. */
export async function* snapshots(options: TopOptions, signal: AbortSignal): AsyncGenerator<Snapshot> {
  const response = await get(options, 'events', signal);
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const chunk of response.body!) {
      const events = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n\n');
      rest = events.pop()!;
      for (const event of events) if (event.startsWith('data: ')) yield read(options, event.slice('data: '.length));
    }
  } catch (error) {
    if (signal.aborted) return;
    unreachable(options, error);
  }
  if (!signal.aborted) throw new FeedError(`${options.url.origin} has ended`);
}

async function get(options: TopOptions, route: string, signal: AbortSignal): Promise<Response> {
  const { url, token } = options;
  const address = new URL(`${url.pathname.replace(/\/$/, '')}/${route}`, url);
  // A token may come with the address that the browser has.
  const shown = token ?? url.searchParams.get('token') ?? undefined;
  let response: Response;
  try {
    response = await fetch(address, { signal, headers: shown === undefined ? {} : { authorization: `Bearer ${shown}` } });
  } catch (error) {
    return unreachable(options, error);
  }
  if (response.ok) return response;
  await response.body?.cancel();
  const why =
    response.status === 401
      ? `does not let us in: ${shown === undefined ? 'give its --token' : 'the token is wrong'}`
      : `answers ${response.status}`;
  throw new FeedError(`${address.origin}${response.status === 401 ? '' : address.pathname} ${why}`);
}

function unreachable({ url }: TopOptions, error: unknown): never {
  if (error instanceof FeedError) throw error;
  const { message, cause } = error as Error & { cause?: { code?: string; message?: string } };
  throw new FeedError(`${url.origin} cannot be reached: ${cause?.code ?? cause?.message ?? message}`);
}

function read({ url }: TopOptions, text: string): Snapshot {
  try {
    const snapshot = JSON.parse(text) as Snapshot;
    if (Array.isArray(snapshot.pools) && Array.isArray(snapshot.inspection?.slots)) return snapshot;
  } catch {
    // Told below.
  }
  throw new FeedError(`${url.origin} is no dashboard of cenote`);
}
