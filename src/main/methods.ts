/** Which of a resource's methods a worker may call. */

/** Far more than any function takes (the stack ends before), and few enough to be spread out without harm: a list of holes costs its sender nothing. */
const MOST_ARGUMENTS = 1_000_000;

export const NO_CALL = `a call needs a method name and a list of at most ${MOST_ARGUMENTS} arguments`;

export function isCall(method: unknown, args: unknown): boolean {
  return typeof method === 'string' && Array.isArray(args) && args.length <= MOST_ARGUMENTS;
}

/** The method, or undefined: not there, not exposed, or nobody's business. */
export function findMethod(
  resource: unknown,
  name: string,
  expose: ReadonlySet<string> | undefined,
): ((...args: unknown[]) => unknown) | undefined {
  if (name === 'constructor' || name === '__proto__' || (expose !== undefined && !expose.has(name))) return undefined;
  for (let holder: object | null = Object(resource); holder !== null; holder = Object.getPrototypeOf(holder)) {
    if (holder === Object.prototype || holder === Function.prototype) return undefined;
    if (!Object.hasOwn(holder, name)) continue;
    const method = (resource as Record<string, unknown>)[name];
    return typeof method === 'function' ? (method as (...args: unknown[]) => unknown) : undefined;
  }
  return undefined;
}
