/** What a thread does: seeded choices, each recorded. What real threads make of it is not repeatable; what they set out to do is. */
import { Random } from '../soak/random.ts';
import type { Configuration, Way } from './configuration.ts';
import type { Kind, Outcome } from './history.ts';
import type { Recorder } from './recorder.ts';
import type { Subject } from './subject.ts';

const TIMED_OUT = 'ERR_POOL_ACQUIRE_TIMEOUT';
/** Nobody gives up a resource that it holds for anything that may take for ever, so nobody waits for itself. */
const SHORT = [0.05, 0.2, 1, 2];

class Aborted extends Error {}

export class Program {
  readonly #subject: Subject;
  readonly #recorder: Recorder;
  readonly #configuration: Configuration;
  readonly #way: Way;
  readonly #seed: number;

  constructor(subject: Subject, recorder: Recorder, configuration: Configuration, way: Way, seed: number) {
    this.#subject = subject;
    this.#recorder = recorder;
    this.#configuration = configuration;
    this.#way = way;
    this.#seed = seed;
  }

  /** Ends when everything has been given back. */
  async run(isOwner: boolean): Promise<void> {
    if (this.#way === 'sync') return this.#sleeper();
    const lanes: Promise<void>[] = [];
    for (let lane = 0; lane < this.#configuration.lanes; lane++) lanes.push(this.#asynchronous(lane, isOwner));
    await Promise.all(lanes);
  }

  // ── one thing after the other, asleep in between

  #sleeper(): void {
    const random = new Random(this.#seed);
    const held: number[] = [];
    for (let step = 0; step < this.#configuration.length; step++) {
      this.#spin(random);
      if (held.length > 0 && random.chance(0.65)) this.#giveBack(random, 0, held);
      else if (random.chance(0.3)) this.#trySync(0, held);
      else this.#acquireSync(0, held, held.length > 0 || random.chance(0.3) ? random.pick(SHORT) : 0);
    }
    while (held.length > 0) {
      this.#spin(random);
      this.#giveBack(random, 0, held);
    }
  }

  #spin(random: Random): void {
    const { longest } = this.#configuration;
    if (longest === 0) return;
    const end = performance.now() + random.below(longest) / 1000;
    while (performance.now() < end);
  }

  #acquireSync(lane: number, held: number[], patience: number): void {
    this.#watch();
    // In a mixed thread a cell may change hands, so what others see in line proves nothing.
    const index = this.#recorder.begin('acquireSync', lane, 0, patience, this.#way === 'sync');
    try {
      const resource = this.#subject.acquireSync({ timeout: patience });
      this.#recorder.end(index, 'got', resource);
      held.push(resource);
    } catch (error) {
      this.#recorder.end(index, outcomeOf(error));
    }
  }

  #trySync(lane: number, held: number[]): void {
    this.#watch();
    const index = this.#recorder.begin('tryAcquireSync', lane, 0, 0);
    this.#tried(index, this.#subject.tryAcquireSync(), held);
  }

  #tried(index: number, resource: number | null, held: number[]): void {
    this.#recorder.end(index, resource === null ? 'none' : 'got', resource ?? 0);
    if (resource !== null) held.push(resource);
  }

  #giveBack(random: Random, lane: number, held: number[]): void {
    this.#watch();
    const [resource] = held.splice(random.below(held.length), 1);
    const kind: Kind = random.chance(this.#configuration.destroys) ? 'destroy' : 'release';
    const index = this.#recorder.begin(kind, lane, resource, 0);
    this.#subject[kind](resource);
    this.#recorder.end(index, 'done');
  }

  #watch(): void {
    this.#recorder.witness((thread) => this.#subject.isInLine(thread));
  }

  // ── several things at once

  async #asynchronous(lane: number, isOwner: boolean): Promise<void> {
    const random = new Random(this.#seed + lane + 1);
    const held: number[] = [];
    for (let step = 0; step < this.#configuration.length; step++) {
      await this.#pause(random);
      if (held.length > 0 && random.chance(0.65)) this.#giveBack(random, lane, held);
      else await this.#borrow(random, lane, held, isOwner);
    }
    while (held.length > 0) {
      await this.#pause(random);
      this.#giveBack(random, lane, held);
    }
  }

  async #borrow(random: Random, lane: number, held: number[], isOwner: boolean): Promise<void> {
    const die = random.unit();
    if (die < 0.25) await this.#try(lane, held);
    else if (die < 0.5 && this.#way === 'mixed') this.#acquireSync(lane, held, random.pick(SHORT));
    else if (die < 0.6 && !isOwner && held.length === 0) await this.#call(lane);
    else if (die < 0.75) await this.#acquireOrAbort(random, lane, held);
    else await this.#acquire(lane, held, held.length > 0 || random.chance(0.3) ? random.pick(SHORT) : 0);
  }

  #pause(random: Random): Promise<void> | undefined {
    this.#spin(random);
    if (random.chance(0.5)) return undefined;
    if (random.chance(0.3)) return Promise.resolve();
    return new Promise((resolve) => setImmediate(resolve));
  }

  async #acquire(lane: number, held: number[], patience: number, signal?: AbortSignal): Promise<void> {
    this.#watch();
    const index = this.#recorder.begin('acquire', lane, 0, patience);
    const promise = this.#subject.acquire({ timeout: patience, ...(signal && { signal }) });
    this.#recorder.promised(index);
    try {
      const resource = await promise;
      this.#recorder.end(index, 'got', resource);
      held.push(resource);
    } catch (error) {
      this.#recorder.end(index, outcomeOf(error));
    }
  }

  async #acquireOrAbort(random: Random, lane: number, held: number[]): Promise<void> {
    const controller = new AbortController();
    const abort = (): void => controller.abort(new Aborted());
    const acquired = this.#acquire(lane, held, held.length > 0 ? 5 : 0, controller.signal);
    if (random.chance(0.3)) queueMicrotask(abort);
    else if (random.chance(0.6)) setImmediate(abort);
    else setTimeout(abort, 1);
    await acquired;
  }

  async #try(lane: number, held: number[]): Promise<void> {
    this.#watch();
    const index = this.#recorder.begin('tryAcquire', lane, 0, 0);
    this.#tried(index, await this.#subject.tryAcquire(), held);
  }

  async #call(lane: number): Promise<void> {
    this.#watch();
    const index = this.#recorder.begin('call', lane, 0, 0);
    // The place in line is this call's, but its message joins with it later.
    const resource = await this.#subject.call({ timeout: 0 });
    this.#recorder.end(index, 'got', resource);
  }
}

function outcomeOf(error: unknown): Outcome {
  if (error instanceof Aborted) return 'abort';
  if ((error as { code?: unknown }).code === TIMED_OUT) return 'timeout';
  throw error;
}
