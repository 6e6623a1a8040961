/** Which of a resource's methods a worker may call. */
import { types } from 'node:util';

/**
 * Most arguments of a call: far more than any function takes, and few enough to be spread out. A list of holes costs its sender nothing.
 */
const MOST_ARGUMENTS = 1_000_000;

export const NO_CALL = `a call needs a method name and a list of at most ${MOST_ARGUMENTS} arguments`;

export function isCall(method: unknown, args: unknown): boolean {
  return typeof method === 'string' && Array.isArray(args) && args.length <= MOST_ARGUMENTS;
}

type Method = (...args: unknown[]) => unknown;

/** The method, or undefined: not there, not exposed, or none of the resource's own (what every object and every function has). */
export function findMethod(resource: unknown, name: string, expose: ReadonlySet<string> | undefined): Method | undefined {
  if (name === 'constructor' || name === '__proto__' || (expose !== undefined && !expose.has(name))) return undefined;
  for (let holder: object | null = Object(resource); holder !== null; holder = Object.getPrototypeOf(holder)) {
    // A Proxy (comlink's, a membrane) may make its methods when it is asked for them.
    // Its own list of properties and prototypes may be wrong or endless.
    if (types.isProxy(holder)) return withoutBuiltIn(name, methodOf(resource, name));
    if (isRoot(holder)) return undefined;
    if (Object.hasOwn(holder, name)) return methodOf(resource, name);
  }
  return undefined;
}

function methodOf(resource: unknown, name: string): Method | undefined {
  const method = (resource as Record<string, unknown>)[name];
  return typeof method === 'function' ? (method as Method) : undefined;
}

/** Object.prototype or Function.prototype, of whatever realm. */
function isRoot(holder: object): boolean {
  if (typeof holder === 'function') return Object.hasOwn(holder, Symbol.hasInstance) && Object.hasOwn(holder, 'bind');
  return Object.getPrototypeOf(holder) === null && Object.hasOwn(holder, '__lookupGetter__');
}

function withoutBuiltIn(name: string, method: Method | undefined): Method | undefined {
  const isBuiltIn = [Object.prototype, Function.prototype].some((root) => (root as Record<string, unknown>)[name] === method);
  return isBuiltIn ? undefined : method;
}
