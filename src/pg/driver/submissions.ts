/**
 * On the owner: messages of the protocol, and what the server says to them. They are sent for an object on some other thread that speaks
 * the protocol itself (a Cursor, a QueryStream). From the first message until the server is ready again, the connection is busy with that.
 */
import type { Client, FieldDef } from 'pg';
import { asBuffers, withOwnBytes } from '../messages/bytes.ts';
import { NO_COPY } from '../messages/copy.ts';
import { sendError } from '../messages/database-error.ts';
import type { ClientMessage, ServerMessage } from '../messages/protocol.ts';
import { isReadTimeout } from './read-timeout.ts';

type Connection = NodeJS.EventEmitter & Record<ClientMessage[0], (body?: unknown) => void> & { sendCopyFail(reason: string): void };

/** The events that answer a batch. An error always ends a batch, except where the server's being ready does. */
const AFTER_SYNC = ['readyForQuery'];
const AFTER_EXECUTE = ['portalSuspended', 'commandComplete', 'emptyQuery', 'error', 'readyForQuery'];
const AFTER_DESCRIBE = ['rowDescription', 'noData', 'error', 'readyForQuery'];

/** Types for which the owner's program has parsers of its own. */
interface OwnTypes {
  has(oid: number): boolean;
}

export class Submissions {
  readonly #client: Client;
  readonly #ownTypes: OwnTypes;
  readonly #broke: (error: Error) => void;
  /** The last relay, over or not. What it heard when no batch waited is told to the next batch that asks. */
  #relay: Relay | undefined;
  #last = '';

  constructor(client: Client, ownTypes: OwnTypes, broke: (error: Error) => void) {
    this.#client = client;
    this.#ownTypes = ownTypes;
    this.#broke = broke;
  }

  get isOpen(): boolean {
    return this.#relay !== undefined && !this.#relay.isOver;
  }

  /** Settles when the server is ready for something else. */
  get ended(): Promise<void> {
    return this.#relay?.ended ?? Promise.resolve();
  }

  /** It is the submission that was opened last, over or not. */
  knows(name: string): boolean {
    return name === this.#last;
  }

  /** `parsed`: the connection's type parsers are applied. */
  open(name: string, messages: readonly ClientMessage[], parsed: boolean): Promise<ServerMessage[]> {
    this.#last = name;
    const relay = new Relay(this.#client, this.#ownTypes, parsed, this.#broke);
    this.#relay = relay;
    const said = relay.send(messages);
    this.#client.query(relay as never);
    return said;
  }

  send(name: string, messages: readonly ClientMessage[]): Promise<ServerMessage[]> {
    return this.#relay === undefined || !this.knows(name) ? Promise.resolve([]) : this.#relay.send(messages);
  }

  /** The submission will not end by itself: the server is made ready again. */
  abandon(): void {
    this.#relay?.abandon();
  }
}

/** The messages that may be sent. A message is a method of the driver's connection, which has other methods, too. */
const SENDABLE: ReadonlySet<string> = new Set<ClientMessage[0]>([
  'parse',
  'bind',
  'describe',
  'execute',
  'close',
  'query',
  'flush',
  'sync',
]);

interface Batch {
  readonly messages: readonly ClientMessage[];
  readonly until: readonly string[];
  readonly resolve: (said: ServerMessage[]) => void;
}

/** What the driver takes for a query. */
class Relay {
  readonly ended: Promise<void>;
  /** Set by the driver: its timer for `query_timeout` waits for it. */
  callback: ((error: Error | null) => void) | undefined;
  readonly #client: Client;
  readonly #ownTypes: OwnTypes;
  readonly #isParsed: boolean;
  readonly #broke: (error: Error) => void;
  #end!: () => void;
  #connection: Connection | undefined;
  #batches: Batch[] = [];
  #said: ServerMessage[] = [];
  #parsers: ((raw: unknown) => unknown)[] = [];
  #hasFailed = false;
  #isSynced = false;
  #isOver = false;
  #isSent = false;

  constructor(client: Client, ownTypes: OwnTypes, isParsed: boolean, broke: (error: Error) => void) {
    this.#client = client;
    this.#ownTypes = ownTypes;
    this.#broke = broke;
    this.#isParsed = isParsed;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  send(messages: readonly ClientMessage[]): Promise<ServerMessage[]> {
    return new Promise((resolve) => {
      this.#batches.push({ messages, until: awaited(messages), resolve });
      this.#next();
    });
  }

  submit(connection: Connection): void {
    this.#connection = connection;
    connection.on('noData', this.#noData);
    connection.once('readyForQuery', this.#ready);
    connection.once('end', this.#lost);
    this.#next();
  }

  abandon(): void {
    if (this.#isOver) return;
    if (this.#connection === undefined || this.#isSynced) return;
    this.#isSynced = true;
    this.#connection.sync();
  }

  /** Sends one batch at a time: each is answered before the next is sent. */
  #next(): void {
    if (this.#isSent || (this.#connection === undefined && !this.#isOver)) return;
    const batch = this.#batches[0];
    if (batch === undefined) return;
    this.#isSent = true;
    const isSync = batch.until === AFTER_SYNC;
    // After an error the server passes over everything up to a sync.
    if (this.#isOver || batch.until.length === 0 || (this.#hasFailed && !isSync)) return this.#answer();
    if (isSync) this.#isSynced = true;
    try {
      for (const [type, body] of batch.messages) if (SENDABLE.has(type)) this.#connection![type](type === 'bind' ? asBound(body) : body);
    } catch (error) {
      // The driver cannot send this value. The server has heard half of the batch, and is to forget that.
      this.handleError(error as Error);
      this.abandon();
    }
  }

  #say(event: string, body?: unknown): void {
    this.#said.push(body === undefined ? [event] : [event, body]);
    if (this.#batches[0]?.until.includes(event)) this.#answer();
  }

  #answer(): void {
    this.#isSent = false;
    this.#batches.shift()?.resolve(this.#said.splice(0));
    this.#next();
  }

  readonly #noData = (): void => this.#say('noData');

  /** A lost connection is no end of the rows. */
  readonly #lost = (): void => {
    if (!this.#hasFailed) this.handleError(new Error('Connection terminated unexpectedly'));
    this.#ready();
  };

  readonly #ready = (): void => {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#connection!.off('noData', this.#noData);
    this.#connection!.off('readyForQuery', this.#ready);
    this.#connection!.off('end', this.#lost);
    this.callback?.(null);
    this.#say('readyForQuery');
    this.#next();
    this.#end();
  };

  handleRowDescription({ fields }: { fields: readonly FieldDef[] }): void {
    if (this.#isParsed)
      this.#parsers = fields.map(
        ({ dataTypeID, format }) => this.#client.getTypeParser(dataTypeID, format as 'text') as (raw: unknown) => unknown,
      );
    const types = this.#isParsed ? [] : fields.map(({ dataTypeID }) => dataTypeID);
    this.#say('rowDescription', { fields: fields.map((field) => ({ ...field })), own: types.filter((oid) => this.#ownTypes.has(oid)) });
  }

  handleDataRow({ fields }: { fields: readonly unknown[] }): void {
    if (this.#hasFailed) return;
    try {
      const row = this.#isParsed ? fields.map((raw, column) => (raw === null ? null : this.#parsers[column](raw))) : fields;
      this.#say('dataRow', { fields: row.map(withOwnBytes) });
    } catch (error) {
      // A parser of the user's has failed. Its error would throw at the socket, which ends the process.
      this.handleError(error as Error);
    }
  }

  handleCommandComplete({ text }: { text: string }): void {
    if (!this.#hasFailed) this.#say('commandComplete', { text });
  }

  handlePortalSuspended(): void {
    if (!this.#hasFailed) this.#say('portalSuspended');
  }

  handleEmptyQuery(): void {
    this.#say('emptyQuery');
  }

  handleError(error: Error): void {
    if (this.#isOver) return;
    this.#hasFailed = true;
    if (isReadTimeout(error)) this.#broke(error);
    this.callback?.(error);
    this.callback = undefined;
    this.#say('error', sendError(error));
    // The connection was lost before this was sent.
    if (this.#connection === undefined) {
      this.#isOver = true;
      this.#answer();
      this.#end();
    }
  }

  handleReadyForQuery(): void {}

  handleCopyInResponse(): void {
    this.#connection!.sendCopyFail(NO_COPY);
  }

  /** COPY OUT was not asked for through this interface: as in pg, its rows are passed over. */
  handleCopyData(): void {}
}

const asBound = (body: unknown): unknown => ({ ...(body as object), values: (body as { values: unknown[] }).values.map(asBuffers) });

function awaited(messages: readonly ClientMessage[]): readonly string[] {
  const has = (...types: ClientMessage[0][]): boolean => messages.some(([type]) => types.includes(type));
  if (has('sync', 'query')) return AFTER_SYNC;
  if (has('execute')) return AFTER_EXECUTE;
  return has('describe') ? AFTER_DESCRIBE : [];
}
