/**
 * The pool as its documentation tells it, without threads, slots or words: who waits, what is out, what lies idle, what is being made. `settle` is all that an owner does until
 * there is nothing left to do.
 */
export type Behaviour = 'well' | 'no' | 'throws';
export type Making = 'at once' | 'slowly' | 'fails';
export type Breaker = 'active' | 'inactive' | 'recovering';
export type End = 'got' | 'null' | 'timeout' | 'aborted' | 'closed' | 'unavailable' | 'queue full' | 'factory';

export interface Settings {
  readonly max: number;
  readonly maxWaiting: number;
  readonly maxUses: number;
  readonly probes: number;
  readonly beforeAcquire: boolean;
  readonly beforeRelease: boolean;
}

export interface Waiter {
  readonly id: number;
  readonly tries: boolean;
}

/** A resource as far as the model knows it. */
export interface Out {
  readonly waiter: number;
  isProbe: boolean;
}

export class Model {
  readonly settings: Settings;
  // ── how factory and hooks behave just now
  factory: Making = 'at once';
  beforeAcquire: Behaviour = 'well';
  beforeRelease: Behaviour = 'well';
  hasStrategy = false;

  idle = 0;
  making = 0;
  /** By the waiter that has it. */
  readonly out = new Map<number, Out>();
  readonly line: Waiter[] = [];
  /** What became of each waiter that is not in line any more. */
  readonly ended = new Map<number, End>();
  breaker: Breaker = 'active';
  closed = false;
  draining = false;
  #successes = 0;

  acquired = 0;
  released = 0;
  created = 0;
  destroyed = 0;
  timedOut = 0;
  rejected = 0;
  factoryFailures = 0;
  reported = { successes: 0, failures: 0 };

  constructor(settings: Settings) {
    this.settings = settings;
  }

  get count(): number {
    return this.idle + this.out.size + this.making;
  }

  // ── what borrowers do

  acquire(waiter: Waiter): void {
    if (waiter.tries && (this.closed || this.draining || this.breaker === 'inactive')) return this.#end(waiter, 'null');
    if (this.closed || this.draining) return this.#end(waiter, 'closed');
    if (this.breaker === 'inactive') return this.#end(waiter, 'unavailable');
    const isUnguarded = this.breaker === 'active' && !this.settings.beforeAcquire;
    if (isUnguarded && this.line.length === 0 && this.idle > 0) {
      this.idle--;
      return this.#serve(waiter);
    }
    const isSupplyExhausted = this.line.length >= this.settings.max - this.out.size;
    if (waiter.tries && isSupplyExhausted) return this.#end(waiter, 'null');
    const isRoom = this.line.length < this.settings.maxWaiting || (this.breaker !== 'recovering' && !isSupplyExhausted);
    if (!waiter.tries && !isRoom) return this.#end(waiter, 'queue full');
    this.line.push(waiter);
    this.settle();
  }

  /** Whoever is still in line. */
  leave(id: number, how: 'timeout' | 'aborted'): void {
    const at = this.line.findIndex((waiter) => waiter.id === id);
    if (at === -1) return;
    this.#end(this.line.splice(at, 1)[0], how);
    this.settle();
  }

  /** `uses`: how often that resource has been handed out. */
  release(id: number, uses: number): void {
    const { isProbe } = this.#takeBack(id);
    if (this.closed) this.destroyed++;
    else if (this.settings.beforeRelease && this.beforeRelease !== 'well') {
      this.destroyed++;
      this.#failure(isProbe);
    } else {
      if (this.settings.maxUses > 0 && uses >= this.settings.maxUses) this.destroyed++;
      else this.idle++;
      if (this.hasStrategy) this.reported.successes++;
      else if (isProbe && ++this.#successes >= this.settings.probes) this.move('active');
    }
    this.settle();
  }

  destroy(id: number): void {
    const { isProbe } = this.#takeBack(id);
    this.destroyed++;
    this.#failure(isProbe);
    this.settle();
  }

  #takeBack(id: number): Out {
    const out = this.out.get(id)!;
    this.out.delete(id);
    this.released++;
    return out;
  }

  // ── what the owner does

  /** A slow creation has come to something. */
  finish(well: boolean): void {
    this.making--;
    if (well) this.#made();
    else this.#failed();
    this.settle();
  }

  move(to: Breaker): void {
    if (this.breaker === to) return;
    this.breaker = to;
    this.#successes = 0;
    if (to !== 'recovering') for (const out of this.out.values()) out.isProbe = false;
    this.settle();
  }

  close(): void {
    this.closed = true;
    this.settle();
  }

  drain(): void {
    this.draining = true;
    this.settle();
  }

  #allowance(): number {
    if (this.breaker !== 'recovering') return Number.POSITIVE_INFINITY;
    let probes = 0;
    for (const { isProbe } of this.out.values()) if (isProbe) probes++;
    return this.settings.probes - probes;
  }

  settle(): void {
    if (this.closed) {
      while (this.line.length > 0) this.#end(this.line.shift()!, 'closed');
      this.#discardIdle();
      return;
    }
    if (this.breaker === 'inactive') while (this.line.length > 0) this.#end(this.line.shift()!, 'unavailable');
    while (this.line.length > 0 && this.idle > 0 && this.#allowance() - this.making > 0) {
      this.idle--;
      if (this.settings.beforeAcquire && this.beforeAcquire !== 'well') this.destroyed++;
      else this.#serve(this.line.shift()!);
    }
    while (this.line.length > this.making && this.count < this.settings.max && this.#allowance() - this.making > 0) {
      if (this.factory === 'at once') this.#made();
      else if (this.factory === 'slowly') this.making++;
      else this.#failed();
    }
    for (const waiter of this.line.slice(this.making)) {
      if (!waiter.tries) continue;
      this.line.splice(this.line.indexOf(waiter), 1);
      this.#end(waiter, 'null');
    }
    if (!this.draining || this.line.length > 0) return;
    this.#discardIdle();
    if (this.out.size === 0) this.closed = true;
  }

  #discardIdle(): void {
    this.destroyed += this.idle;
    this.idle = 0;
    // What is still being made counts for nobody.
    this.making = 0;
  }

  #made(): void {
    this.created++;
    if (this.closed) this.destroyed++;
    else if (this.line.length > 0 && this.breaker !== 'inactive' && this.#allowance() > 0) this.#serve(this.line.shift()!);
    else this.idle++;
  }

  #failed(): void {
    this.factoryFailures++;
    const first = this.line.shift();
    if (first !== undefined) this.#end(first, 'factory');
    this.#failure(true);
  }

  #failure(isProbe: boolean): void {
    if (this.hasStrategy) this.reported.failures++;
    else if (isProbe && this.breaker === 'recovering') this.move('inactive');
  }

  #serve({ id }: Waiter): void {
    this.acquired++;
    this.out.set(id, { waiter: id, isProbe: this.breaker === 'recovering' });
    this.ended.set(id, 'got');
  }

  #end({ id, tries }: Waiter, how: End): void {
    // Whoever only tries is told nothing but null, or what the factory failed with.
    const end = tries && how !== 'factory' ? 'null' : how;
    this.ended.set(id, end);
    if (end === 'timeout') this.timedOut++;
    else if (end !== 'aborted' && end !== 'null') this.rejected++;
  }
}
