/** Optional peers, loaded when they are first needed, and at once. */
import { createRequire } from 'node:module';

const load = createRequire(import.meta.url);

/** Throws an Error that names the package if it is not installed. `what` needs it. */
export function peer<T>(name: string, what: string): T {
  try {
    return load(name) as T;
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'MODULE_NOT_FOUND') throw cause;
    throw new Error(`${what} needs the package ${name}, which is not installed: npm install ${name}`, { cause });
  }
}
