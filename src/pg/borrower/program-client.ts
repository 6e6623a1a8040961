/**
 * A client for programs and ORMs that make their pool or their clients by themselves: the driver's class, over this pool. It is a place in
 * the line. It has a connection while it needs one, and lends it to others in between.
 */
import type { Client, ClientConfig, QueryConfig, QueryResult } from 'pg';
import { StreamChannel } from '../driver/channel.ts';
import type { Driver } from '../driver/lane.ts';
import { isSetting, mayPrecedeSetting, profileWith } from '../messages/profile.ts';
import { ask, askedBy, asSetting, type Question, tell } from '../messages/question.ts';
import type { QueryCallback, Submission } from '../types.ts';
import { apart } from './apart.ts';
import { ClientSettings } from './client-settings.ts';
import { copyOver, isCopyStream } from './copying.ts';
import type { HoldListener } from './hold.ts';
import type { PgPool } from './pool.ts';
import type { Seat, Sitter } from './seat.ts';
import { isSubmission, refuseSubmission, submitTo } from './submission.ts';
import { warnOfUnheard, warnOnce } from './warnings.ts';

type Callback = (error: Error | null) => void;
type Release = (...args: unknown[]) => void;

/** Calls `body` with the pool, in a moment in which a client may connect there. */
export type Enter = <V>(body: (pool: PgPool) => V) => Promise<V>;

/** The driver's class over a pool, which each client enters when it connects. */
export function clientClass(driver: Driver, enter: Enter): new (config?: string | ClientConfig) => Client {
  const theirs = driver.Client as unknown as new (config: object) => any;

  class SharedClient extends theirs {
    #pool: PgPool | undefined;
    #seat: Seat | undefined;
    #left: Promise<void> | undefined;
    #release: Release | undefined;
    #profile: string;
    /** Nothing has been asked yet but what sets the session up. */
    #isSettingUp = true;
    #hasOwnTypes: boolean;
    readonly #settings: ClientSettings;
    readonly #listener: HoldListener = {
      heard: ({ event, message }) => {
        if (event === 'unheard') warnOfUnheard(this as unknown as Client, message);
        else apart(() => this.emit(event, message));
      },
      broken: (error, lost) => this.#broken(error, lost),
    };
    readonly #sitter: Sitter = {
      profile: () => this.#profile,
      isSetUp: () => this.#profile !== this.#settings.profile,
      met: (hold) => hold.listen(this.#listener),
      arrived: (hold) => {
        this.processID = hold.pid;
        if (this.listenerCount('notification') > 0) hold.awaitNotifications(PATIENCE);
        else if (['error', 'end', 'notice'].some((event) => this.listenerCount(event) > 0)) hold.listenSoon(LONG_HELD);
      },
      answered: ({ pid, heard = [] }) => {
        if (pid > 0) this.processID = pid;
        for (const each of heard) this.#listener.heard(each);
      },
    };

    constructor(config?: string | ClientConfig) {
      const settings = new ClientSettings(config);
      super({ ...settings.forDriver, password: '', ssl: false, stream: () => new StreamChannel() });
      this.#settings = settings;
      this.#profile = settings.profile;
      this.#hasOwnTypes = isObject(settings.forDriver.types);
      this.password = null;
      // Pools that lend this client listen when they do, and there may be many of them.
      this.setMaxListeners(0);
    }

    // ── its life

    connect(callback?: Callback): Promise<unknown> | undefined {
      const connected = this.#connect();
      if (callback === undefined) return connected;
      tell(connected, callback as never, null);
      return undefined;
    }

    async #connect(): Promise<this> {
      if (this._connecting || this._connected) throw new Error('Client has already been connected. You cannot reuse a client.');
      this._connecting = true;
      try {
        await enter((pool) => this.#enter(pool));
      } finally {
        this._connecting = false;
      }
      this._connected = true;
      this.readyForQuery = true;
      apart(() => this.emit('connect'));
      return this;
    }

    #enter(pool: PgPool): void {
      if (this.#settings.isElsewhere(pool.address))
        warnOnce(
          'CENOTE_PG_CLIENT_SETTINGS',
          'a client of pgClient() was given another host, port, user or database than createPgPool: they are ignored, as the connections are those of createPgPool',
        );
      this.#pool = pool;
      this.#seat = pool.openSeat(this.#sitter);
    }

    /** Finishes what is asked, undoes what is open, and gives the connection back. */
    end(callback?: () => void): Promise<void> | undefined {
      const ended = this.#end();
      if (callback === undefined) return ended;
      ended.then(() => process.nextTick(callback));
      return undefined;
    }

    async #end(): Promise<void> {
      this._ending = true;
      if (this.#seat !== undefined) await (this.#left ??= this.#pool!.leaveSeat(this.#seat));
      if (this._ended) return;
      this._ended = true;
      this._connected = false;
      apart(() => this.connection.emit('end'));
      apart(() => this.emit('end'));
    }

    /**
     * A connection is lost. If nothing was open there (`lost`) the next query gets another one. What was open is refused until a ROLLBACK,
     * and a client that listens hears nothing more: such a client has ended for its program.
     */
    #broken(error: Error, lost: boolean): void {
      if (!lost && this.listenerCount('notification') === 0) return;
      if (this.listenerCount('error') > 0) apart(() => this.emit('error', error));
      apart(() => this.emit('end'));
    }

    /** Pools ask for it, and lend a client that is lost no more. */
    get _queryable(): boolean {
      return this.#seat?.scope.isLost !== true;
    }

    /** By the driver. */
    set _queryable(_isQueryable: boolean) {}

    /** Pools set it, each time when they lend this client. */
    get release(): Release | undefined {
      return this.#release;
    }

    set release(release: Release | undefined) {
      this.#release =
        release && ((...args) => (this.#pool === undefined ? release(...args) : this.#pool.givenBack(() => release(...args))));
    }

    /** The pool sees to that: a query under way and a client that listens keep the process alive, and nothing else does. */
    ref(): void {}
    unref(): void {}

    // ── queries

    query(text: string | QueryConfig | Submission, values?: unknown, callback?: unknown): unknown {
      if (isSubmission(text)) return this.#submit(text, values, callback);
      const then = typeof values === 'function' ? values : (callback ?? (text as { callback?: unknown } | null)?.callback);
      if (text === null || text === undefined) throw new TypeError('Client was passed a null or undefined query');
      const result = this.#query(text, typeof values === 'function' ? undefined : values);
      if (typeof then !== 'function') return result;
      tell(result, then as QueryCallback as never, null);
      return undefined;
    }

    async #query(text: string | QueryConfig, values: unknown): Promise<QueryResult<any>> {
      const seat = this.#open();
      const asked = ask(text, values, this.#hasOwnTypes ? this._types : undefined, this.#settings.queryTimeout);
      const question = askedBy(this as unknown as Client, asked);
      const { text: said, name } = question;
      if (this.#isSettingUp && said !== undefined && name === undefined && isSetting(said)) return this.#setUp(seat, question);
      this.#isSettingUp &&= said !== undefined && mayPrecedeSetting(said);
      return seat.run(question);
    }

    async #setUp(seat: Seat, question: Question): Promise<QueryResult<any>> {
      const said = asSetting(question);
      const result = await seat.run(said);
      this.#profile = profileWith(this.#profile, said.text!, said.parameters);
      return result;
    }

    #submit(submission: Submission, values: unknown, callback: unknown): Submission {
      const query = submission as Submission & { callback?: unknown };
      query.callback ??= typeof values === 'function' ? values : callback;
      this.#isSettingUp = false;
      this.#submitIn(submission).catch((error) => refuseSubmission(submission, error as Error));
      return submission;
    }

    async #submitIn(submission: Submission): Promise<void> {
      await this.#open().submit((hold, over) => {
        if (isCopyStream(submission)) copyOver(hold, submission, over);
        else submitTo(hold, submission, over, this.#hasOwnTypes ? this._types : undefined);
      });
    }

    #open(): Seat {
      if (this._ending) throw new Error('Client was closed and is not queryable');
      if (this.#seat === undefined) throw new Error('this client is not connected: await connect() before the first query');
      return this.#seat;
    }

    // ── what the server says

    on(event: string | symbol, listener: (...args: any[]) => void): this {
      super.on(event, listener);
      // A connection that listens is pinned, and heard at once.
      if (event === 'notification') this.#seat?.scope.hold?.awaitNotifications(0);
      return this;
    }

    addListener(event: string | symbol, listener: (...args: any[]) => void): this {
      return this.on(event, listener);
    }

    // ── as the driver has it

    setTypeParser(...parser: unknown[]): unknown {
      this.#hasOwnTypes = true;
      return super.setTypeParser(...parser);
    }

    getTransactionStatus(): 'I' | 'T' | 'E' {
      return this.#seat?.scope.hold?.status ?? 'I';
    }
  }
  Object.defineProperty(SharedClient, 'name', { value: 'Client', configurable: true });
  Object.assign(SharedClient, { Query: (theirs as unknown as { Query: unknown }).Query });
  return SharedClient as unknown as new (
    config?: string | ClientConfig,
  ) => Client;
}

/** How long a connection is kept before it is asked what the server says unasked, in ms: most are lent to others before. */
const PATIENCE = 5;
/** The same where the client only wants to know of the connection, in ms. */
const LONG_HELD = 100;

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;
