/** Which of a resource's methods a worker may call. */

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
