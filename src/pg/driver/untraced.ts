/**
 * What no request asked for has no span. The API of OpenTelemetry has one place on a thread for all of its copies, and a mark in its
 * context that says "trace nothing": its SDK and instrumentations heed it.
 */
interface Context {
  setValue(key: symbol, value: unknown): Context;
}
interface Contexts {
  active(): Context;
  with<V>(context: Context, run: () => V): V;
}

const API = Symbol.for('opentelemetry.js.api.1');
const SUPPRESSED = Symbol.for('OpenTelemetry SDK Context Key SUPPRESS_TRACING');

/** Runs, and is not traced, nor is what it begins. Without OpenTelemetry it just runs. */
export function untraced<V>(run: () => V): V {
  const contexts = (globalThis as { [API]?: { context?: Contexts } })[API]?.context;
  return contexts === undefined ? run() : contexts.with(contexts.active().setValue(SUPPRESSED, true), run);
}
