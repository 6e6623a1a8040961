// What every keeper process shares: it makes something, says so on stdout, holds it for as long as the other end of its stdin
// is open, and then unmakes it. The pipe closes however the parent ends, kill -9 included, which no exit handler survives.

import { createInterface } from 'node:readline';

/**
 * @param {(ended: AbortSignal) => Promise<object>} make  `ended` aborts when the parent is gone, or wants no more
 * @param {() => Promise<void>} unmake  called once, and also when `make` failed half-way
 * @param {Record<string, () => Promise<void>>} orders  what the parent may ask for meanwhile, one line of stdin each
 */
export async function keep(make, unmake, orders = {}) {
  const end = new AbortController();
  const ended = new Promise((resolve) => end.signal.addEventListener('abort', resolve));
  for (const event of ['end', 'close', 'error']) process.stdin.on(event, () => end.abort());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => end.abort());
  let last = Promise.resolve();
  createInterface({ input: process.stdin }).on('line', (order) => {
    last = last.then(orders[order]).then(
      () => tell({ done: order }),
      (error) => tell({ done: order, failed: oneLine(error) }),
    );
  });
  // A parent that was killed reads nothing any more.
  process.stdout.on('error', () => {});

  try {
    tell({ ready: await make(end.signal) });
    await ended;
  } catch (error) {
    if (!end.signal.aborted) tell({ error: oneLine(error) });
  }
  try {
    await last;
    await unmake();
  } catch (error) {
    tell({ error: oneLine(error) });
  }
  // Not process.exit(): what was told may still be on its way.
  process.stdin.destroy();
}

function tell(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function oneLine(error) {
  const cause = error.errors?.[0] ?? error;
  return String(cause.message || cause.code || cause)
    .split('\n')[0]
    .trim();
}
