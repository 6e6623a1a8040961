// What the threads of the tests run. It attaches to the handle it was given, then runs the functions that the test sends as text.
import { MessagePort, parentPort, threadId, Worker, workerData } from 'node:worker_threads';
import { attachPool } from 'cenote/worker';

const { handle, flags } = workerData;

// Some transforms wrap functions with this.
globalThis.__name ??= (value) => value;

/** Errors as plain data: structured clone drops names, codes and own properties. */
function describe(thrown, depth = 0) {
  if (!(thrown instanceof Error)) return { thrown: sanitise(thrown) };
  const lineage = [];
  for (let p = Object.getPrototypeOf(thrown); p && p !== Object.prototype; p = Object.getPrototypeOf(p)) lineage.push(p.constructor.name);
  const own = {};
  for (const key of Object.keys(thrown)) if (key !== 'cause' && key !== 'errors') own[key] = sanitise(thrown[key]);
  return {
    name: thrown.name,
    message: thrown.message,
    stack: thrown.stack,
    code: sanitise(thrown.code),
    pool: sanitise(thrown.pool),
    lineage,
    own,
    cause: thrown.cause === undefined || depth > 3 ? undefined : describe(thrown.cause, depth + 1),
    errors: Array.isArray(thrown.errors) && depth < 3 ? thrown.errors.map((each) => describe(each, depth + 1)) : undefined,
  };
}

function sanitise(value) {
  try {
    return structuredClone(value);
  } catch {
    return `[not cloneable: ${typeof value}]`;
  }
}

/** By name, so that it is all one copy where this is bundled. */
const parts = {
  cenote: () => import('cenote'),
  'cenote/worker': () => import('cenote/worker'),
  'cenote/pg': () => import('cenote/pg'),
  'cenote/pg/worker': () => import('cenote/pg/worker'),
  'cenote/observe': () => import('cenote/observe'),
};

const kept = new Map();
const scope = {
  threadId,
  handle,
  flags,
  pool: undefined,
  held: [],
  syncHeld: [],
  pending: {},
  attachPool,
  cenote: parts.cenote,
  load: (name) => parts[name]?.() ?? import(name),
  keep: (name, value) => {
    kept.set(name, value);
    return value;
  },
  kept: (name) => kept.get(name),
  tell: (value) => parentPort.postMessage({ told: value }),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  /** Blocks this thread until the flag is not zero. */
  block: (index) => {
    while (Atomics.load(flags, index) === 0) Atomics.wait(flags, index, 0, 1000);
  },
  nested: (target, body) =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: { handle: target, flags } });
      worker.on('error', reject);
      worker.on('message', ({ ready, error, id, ok, value }) => {
        if (ready) worker.postMessage({ id: 1, code: String(body), args: [] });
        else if (id === undefined) reject(new Error(JSON.stringify(error)));
        else {
          ok ? resolve(value) : reject(new Error(JSON.stringify(error)));
          worker.terminate();
        }
      });
    }),
  sent: async (body) => {
    const sent = [];
    const { postMessage } = MessagePort.prototype;
    // What the pool sends are lists; what this thread says to the test is none.
    MessagePort.prototype.postMessage = function (message, ...rest) {
      if (Array.isArray(message)) sent.push(structuredClone(message));
      return postMessage.call(this, message, ...rest);
    };
    try {
      await body();
    } finally {
      MessagePort.prototype.postMessage = postMessage;
    }
    return sent;
  },
  outcome: (promise) =>
    Promise.resolve(promise).then(
      (value) => ({ ok: true, value: sanitise(value) }),
      (error) => ({ ok: false, error: describe(error) }),
    ),
  attempt: async (body) => {
    try {
      return { ok: true, value: sanitise(await body()) };
    } catch (error) {
      return { ok: false, error: describe(error) };
    }
  },
};

parentPort.on('message', async (message) => {
  if (message.finish) {
    parentPort.unref();
    return;
  }
  const { id, code, args } = message;
  try {
    const body = new Function(`return (${code});`)();
    const value = await body(scope, ...args);
    parentPort.postMessage({ id, ok: true, value });
  } catch (error) {
    parentPort.postMessage({ id, ok: false, error: describe(error) });
  }
});

try {
  if (handle !== undefined) scope.pool = await attachPool(handle);
  parentPort.postMessage({ ready: true });
} catch (error) {
  parentPort.postMessage({ ready: false, error: describe(error) });
}
