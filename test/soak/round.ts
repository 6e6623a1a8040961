/** One round: an owner, its borrowers, their deaths; and the questions at the end of it. */
import type { PoolHandle, PoolStats } from 'cenote';
import type { Compiled } from '../support/threads/compile.ts';
import type { BorrowerNews, BorrowerOrder } from './borrower.ts';
import type { Configuration } from './configuration.ts';
import { dump } from './dump.ts';
import { OPERATION_NAMES, stampNow } from './lane.ts';
import { CALM, Ledger, MADE, MAX_LIVES, MAX_RESOURCES, OWNER_DOOMED, RESOURCES, STOP, UNMADE } from './ledger.ts';
import type { OwnerNews, OwnerOrder } from './owner.ts';
import { Random } from './random.ts';
import type { Death } from './seat.ts';
import { Thread } from './thread.ts';
import type { Tool } from './tool.ts';

/** An operation that takes longer, though nobody holds anything that long, will never end: the machine may be busy. */
const HUNG = 60_000;
/** To come to rest: a call that hangs is given a second, and every thread of this machine has something else to do. */
const REST = 60_000;
/** From the owner's death until the last borrower knows. The pool says about a second, of a machine that has the time. */
const TOLD_WITHIN = 20_000;

const DEATHS: readonly Death[] = ['terminate', 'terminate', 'terminate', 'exit', 'throw', 'reject', 'heap'];

export interface Outcome {
  readonly failures: readonly string[];
  readonly ledger: Ledger;
  readonly kills: Readonly<Partial<Record<Death, number>>>;
  /** How long the last borrower took to learn that the owner is dead, in ms. */
  readonly toldWithin: number | undefined;
  readonly dump: string;
}

const turn = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Round {
  readonly #configuration: Configuration;
  readonly #compiled: Compiled;
  readonly #random: Random;
  readonly #ledger = new Ledger();
  readonly #failures: string[] = [];
  readonly #kills: Partial<Record<Death, number>> = {};
  readonly #borrowers: Thread[] = [];
  readonly #interrupted: () => boolean;
  #handle: PoolHandle<Tool> | undefined;
  #lives = 0;
  #refilling = true;
  #toldWithin: number | undefined;
  #wake: () => void = () => {};

  constructor(configuration: Configuration, compiled: Compiled, interrupted: () => boolean = () => false) {
    this.#configuration = configuration;
    this.#compiled = compiled;
    this.#interrupted = interrupted;
    this.#random = new Random(configuration.seed ^ 0xc0ffee);
  }

  async run(): Promise<Outcome> {
    const owner = this.#start('test/soak/owner.ts');
    try {
      await this.#until('the owner opens the pool', () => owner.has('open'), REST);
      this.#handle = (owner.news[0] as OwnerNews & { type: 'open' }).handle;
      for (let n = 0; n < this.#configuration.threads; n++) this.#hire();
      await this.#chaos();
      this.#refilling = false;
      if (this.#configuration.ownerDies) await this.#ownerDies(owner);
      else await this.#rest(owner);
    } catch (error) {
      if (!(error instanceof Halt)) throw error;
    }
    this.#refilling = false;
    const state = this.#failures.length > 0 && this.#handle !== undefined ? dump(this.#handle.buffer) : '';
    await Promise.all([owner, ...this.#borrowers].map((thread) => thread.worker.terminate()));
    return { failures: this.#failures, ledger: this.#ledger, kills: this.#kills, toldWithin: this.#toldWithin, dump: state };
  }

  // ── threads

  #start(source: string): Thread {
    const data = { handle: this.#handle, configuration: this.#configuration };
    const changed = (thread: Thread): void => {
      if (!thread.isAlive && this.#refilling && this.#borrowers.includes(thread)) {
        this.#borrowers.splice(this.#borrowers.indexOf(thread), 1);
        this.#hire();
      }
      this.#wake();
    };
    return new Thread(this.#compiled.url(source), this.#lives++, this.#ledger, data, changed, (what) => this.#failures.push(what));
  }

  #hire(): void {
    if (this.#lives < MAX_LIVES) this.#borrowers.push(this.#start('test/soak/borrower.ts'));
  }

  #kill(thread: Thread, death: Death): void {
    if (thread.death !== undefined || !thread.isAlive) return;
    this.#kills[death] = (this.#kills[death] ?? 0) + 1;
    thread.kill(death);
  }

  // ── waiting

  /** Until it holds, or something has gone wrong. */
  async #until(what: string, condition: () => boolean, bound: number): Promise<void> {
    const end = performance.now() + bound;
    while (!condition()) {
      this.#assertNothingHangs();
      if (performance.now() > end) this.#failures.push(`waited ${bound} ms in vain until ${what}`);
      if (this.#failures.length > 0) throw new Halt();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 20);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    if (this.#failures.length > 0) throw new Halt();
  }

  #assertNothingHangs(): void {
    for (const { life, death, isAlive } of this.#borrowers) {
      if (death !== undefined || !isAlive) continue;
      for (let lane = 0; lane < this.#configuration.lanes; lane++) {
        const busy = this.#ledger.busy(life, lane);
        if (busy === undefined || ((stampNow() - busy.stamp) | 0) < HUNG) continue;
        this.#failures.push(`life ${life}, lane ${lane} has been busy with ${OPERATION_NAMES[busy.operation]} for more than ${HUNG} ms`);
      }
    }
  }

  // ── the round

  async #chaos(): Promise<void> {
    const { duration, killEvery } = this.#configuration;
    const end = performance.now() + duration;
    while (performance.now() < end && !this.#interrupted() && this.#ledger.get(RESOURCES) < MAX_RESOURCES - 1000) {
      this.#assertNothingHangs();
      if (this.#failures.length > 0) throw new Halt();
      await turn(killEvery === 0 ? 20 : this.#random.from(1, killEvery * 2));
      if (killEvery !== 0) this.#kill(this.#random.pick(this.#borrowers), this.#random.pick(DEATHS));
    }
  }

  async #ownerDies(owner: Thread): Promise<void> {
    this.#ledger.set(OWNER_DOOMED);
    this.#kill(owner, this.#random.pick(['terminate', 'terminate', 'exit', 'throw']));
    await this.#until('the owner is dead', () => !owner.isAlive, REST);
    const waiting = (): Thread[] => this.#borrowers.filter(({ death, isAlive }) => death === undefined && isAlive);
    await this.#until('every borrower has been told that the owner is dead', () => waiting().every((thread) => thread.has('told')), REST);
    let last = 0;
    for (const thread of waiting()) {
      const told = thread.news.find((news) => news.type === 'told') as BorrowerNews & { type: 'told' };
      last = Math.max(last, (told.at - owner.endedAt) | 0);
    }
    this.#toldWithin = last;
    if (last > TOLD_WITHIN) this.#failures.push(`the last borrower learned of the owner's death after ${last} ms`);
  }

  async #rest(owner: Thread): Promise<void> {
    const { max } = this.#configuration;
    this.#ledger.set(CALM);
    this.#ledger.set(STOP);
    await this.#ask(owner, 'calm');
    await this.#until(
      'every borrower has come to rest',
      () => this.#borrowers.every((t) => !t.isAlive || t.has('quiet')) && owner.has('quiet'),
      REST,
    );
    for (const thread of this.#borrowers) if (thread.death === 'terminate') await thread.ended;
    const living = this.#borrowers.filter(({ isAlive }) => isAlive);

    const still = (stats: PoolStats): string | undefined => {
      if (stats.waiting !== 0) return 'nobody waits';
      if (stats.idle !== stats.count) return 'every slot is idle or empty';
      if (stats.acquired !== stats.released) return 'everything acquired has been released';
      if (stats.threads !== living.length) return `${living.length} threads are attached`;
      if (this.#ledger.get(MADE) - this.#ledger.get(UNMADE) !== stats.count) return 'the books of factory and destructor balance';
      return undefined;
    };
    await this.#untilStats(owner, still);

    await this.#ask(owner, 'borrow everything');
    await Promise.all(living.map((thread) => this.#ask(thread, 'borrow')));
    await this.#untilStats(owner, still);

    // Half of them leave properly, half are cut off.
    if (this.#configuration.hangs && living.length > 1) await this.#ask(living[1], 'hang');
    for (const [index, thread] of living.entries()) index % 2 === 0 ? await this.#ask(thread, 'detach') : await thread.worker.terminate();
    await this.#untilStats(owner, ({ threads, idle, count }) => {
      if (threads !== 0) return 'no thread is attached';
      return idle === count ? undefined : 'every slot is idle or empty, with nobody there';
    });
    await this.#ask(owner, 'borrow everything');

    const stats = await this.#ask(owner, 'close');
    if (stats?.count !== 0) this.#failures.push(`closed, but ${stats?.count} of ${max} are still there`);
    await this.#until('everything made has been unmade', () => this.#ledger.get(MADE) === this.#ledger.get(UNMADE), REST);
    await this.#until('the owner ends by itself', () => !owner.isAlive, REST);
  }

  async #ask(thread: Thread, order: OwnerOrder | BorrowerOrder): Promise<PoolStats | undefined> {
    thread.news.splice(0, thread.news.length, ...thread.news.filter((news) => !('order' in news)));
    thread.order(order);
    await this.#until(`life ${thread.life} has answered '${order}'`, () => thread.has('done', order), REST);
    const done = thread.news.find((news) => 'order' in news);
    return (done as { stats?: PoolStats }).stats;
  }

  /** Asks for statistics until nothing is wrong with them. `still` says what is not so yet. */
  async #untilStats(owner: Thread, still: (stats: PoolStats) => string | undefined): Promise<void> {
    const end = performance.now() + REST;
    for (;;) {
      const stats = (await this.#ask(owner, 'stats'))!;
      const missing = still(stats);
      if (missing === undefined) return;
      if (performance.now() > end) {
        const books = `made ${this.#ledger.get(MADE)}, unmade ${this.#ledger.get(UNMADE)}`;
        this.#failures.push(`waited ${REST} ms in vain until ${missing}: ${books}, ${JSON.stringify(stats)}`);
        throw new Halt();
      }
      await turn(10);
    }
  }
}

class Halt extends Error {}
