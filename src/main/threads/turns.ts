/**
 * Which thread's one-shot call is next. All of them stand in the pool's line, each in a place of its own; but of those that wait, a thread
 * gets `most` at a time before the next thread has its turn. So no thread waits for longer than all others take for one turn, however many
 * calls they have.
 */

/** A one-shot call, as far as it matters here. */
export interface Asker<M> {
  readonly member: M;
}

export class Turns<M, A extends Asker<M>> {
  readonly #most: number;
  /** By thread, in the order of the turns: its calls, in the order in which they were made. */
  readonly #waiting = new Map<M, A[]>();
  #size = 0;
  /** How many calls the first thread has got in this turn. */
  #had = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** How many calls wait. */
  get size(): number {
    return this.#size;
  }

  add(asker: A): void {
    this.#size++;
    const queue = this.#waiting.get(asker.member);
    if (queue === undefined) this.#waiting.set(asker.member, [asker]);
    else queue.push(asker);
  }

  /** Before all others of its thread: it had left, and comes back. */
  addFirst(asker: A): void {
    this.#size++;
    const queue = this.#waiting.get(asker.member);
    if (queue === undefined) this.#waiting.set(asker.member, [asker]);
    else queue.unshift(asker);
  }

  /** It does not wait any more. Without effect if it does not. */
  remove(asker: A): void {
    const queue = this.#waiting.get(asker.member);
    const at = queue?.indexOf(asker) ?? -1;
    if (at === -1) return;
    queue!.splice(at, 1);
    this.#size--;
    if (queue!.length > 0) return;
    if (this.#isFirst(asker.member)) this.#had = 0;
    this.#waiting.delete(asker.member);
  }

  /** The call that is next: it does not wait any more. Undefined if none waits. */
  next(): A | undefined {
    for (const [member, queue] of this.#waiting) return this.#take(member, queue);
    return undefined;
  }

  /** The next call of this thread, as long as it is its turn, if it `fits`: it does not wait any more. */
  nextOf(member: M, fits: (asker: A) => boolean): A | undefined {
    const queue = this.#waiting.get(member);
    return queue !== undefined && this.#isFirst(member) && fits(queue[0]) ? this.#take(member, queue) : undefined;
  }

  #isFirst(member: M): boolean {
    for (const first of this.#waiting.keys()) return first === member;
    return false;
  }

  /** The first of the first thread's. */
  #take(member: M, queue: A[]): A {
    const asker = queue.shift()!;
    this.#size--;
    if (queue.length > 0 && ++this.#had < this.#most) return asker;
    this.#had = 0;
    this.#waiting.delete(member);
    if (queue.length > 0) this.#waiting.set(member, queue);
    return asker;
  }
}
