/** Lets only so many jobs of a scope go on at once. The others stand here, in order, before they come to the runner's queue. */
export class Gate<J = unknown> {
  readonly #most: number;
  /** The gate that comes behind it: of a scope further out. */
  readonly outer: Gate<J> | undefined;
  #inside = 0;
  readonly #standing = new Set<J>();

  constructor(most: number, outer: Gate<J> | undefined) {
    this.#most = most;
    this.outer = outer;
  }

  /** False: the job stands here now, until `leave` gives it. */
  enter(job: J): boolean {
    if (this.#inside < this.#most) {
      this.#inside++;
      return true;
    }
    this.#standing.add(job);
    return false;
  }

  /** The job does not stand here any more. False: it did not. */
  remove(job: J): boolean {
    return this.#standing.delete(job);
  }

  /** A job that had entered is over. Gives the next, which has entered now. */
  leave(): J | undefined {
    const [next] = this.#standing;
    if (next === undefined) this.#inside--;
    else this.#standing.delete(next);
    return next;
  }
}
