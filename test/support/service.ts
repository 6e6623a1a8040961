/** A resource with methods of every kind, for calls from other threads. */

export interface Row {
  n: number;
  deep: { list: number[] };
}

export class Base {
  inherited(): string {
    return 'from the base class';
  }
  overridden(): string {
    return 'base';
  }
}

export class Service extends Base {
  readonly id: number;
  /** What was called, in the order in which it began. */
  readonly log: string[] = [];
  /** Calls that have begun and not ended. */
  running = 0;
  constructor(id: number) {
    super();
    this.id = id;
  }
  override overridden(): string {
    return `derived, ${super.overridden()}`;
  }
  whoami(): number {
    return this.id;
  }
  add(a: number, b: number): number {
    return a + b;
  }
  async addLater(a: number, b: number): Promise<number> {
    await null;
    return a + b;
  }
  echo<V>(value: V): V {
    return value;
  }
  typeOf(value: unknown): string {
    return Object.prototype.toString.call(value);
  }
  countArguments(...args: unknown[]): number {
    return args.length;
  }
  nothing(): void {}
  push(text: string): number {
    return this.log.push(text);
  }
  entries(): string[] {
    return [...this.log];
  }
  /** Takes a while. */
  async slow(ms: number, text = 'slow'): Promise<string> {
    this.running++;
    this.log.push(text);
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.running--;
    return text;
  }
  /** Never settles. */
  hang(): Promise<never> {
    this.running++;
    return new Promise(() => {});
  }
  /** Keeps the owner's thread busy. */
  spin(ms: number): void {
    const end = performance.now() + ms;
    while (performance.now() < end);
  }
  /** The owner's thread id, by way of a property. */
  unclonable(): unknown {
    return { callback: () => 1 };
  }
  async unclonableLater(): Promise<unknown> {
    return () => 1;
  }
  self(): unknown {
    return this;
  }
  fail(kind: string): never {
    throw failure(kind);
  }
  async failLater(kind: string): Promise<never> {
    await null;
    throw failure(kind);
  }
}

class DatabaseError extends Error {
  readonly severity = 'ERROR';
  readonly detail = { table: 'users', columns: ['id'] };
  code = '23505';
  position: number | undefined;
  override name = 'DatabaseError';
}

function failure(kind: string): unknown {
  switch (kind) {
    case 'type':
      return new TypeError('wrong type');
    case 'database':
      return theFunctionThatFailed();
    case 'cause':
      return new Error('outer', { cause: Object.assign(new RangeError('inner', { cause: new Error('innermost') }), { code: 'E_INNER' }) });
    case 'plain cause':
      return new Error('outer', { cause: { reason: 'plain' } });
    case 'circular': {
      const error: Error & { cause?: unknown } = new Error('circular');
      error.cause = error;
      return error;
    }
    case 'aggregate':
      return new AggregateError([new TypeError('first'), Object.assign(new Error('second'), { code: 'E_SECOND' })], 'both failed');
    case 'unclonable property':
      return Object.assign(new Error('with a socket'), { code: 'E_SOCKET', socket: { write() {} } });
    case 'text':
      return 'just a text';
    case 'object':
      return { status: 503 };
    case 'number':
      return 42;
    case 'undefined':
      return undefined;
    case 'null':
      return null;
    case 'function':
      return () => 1;
    default:
      return new Error(kind);
  }
}

function theFunctionThatFailed(): Error {
  return new DatabaseError('duplicate key');
}

export const service = (): (() => Service) => {
  let id = 0;
  return () => new Service(++id);
};

/** A factory, and what it has made. */
export const services = (): { factory: () => Service; made: Service[] } => {
  const made: Service[] = [];
  const make = service();
  return {
    made,
    factory: () => {
      made.push(make());
      return made.at(-1)!;
    },
  };
};
