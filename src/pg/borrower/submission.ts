/**
 * On the borrower's thread: the connection as a Cursor or a QueryStream sees it. What such an object sends goes to the owner in batches, up
 * to each flush or sync. It is told what the server says as the driver would tell it.
 */
import { EventEmitter } from 'node:events';
import type { CustomTypesConfig, FieldDef } from 'pg';
import { asBuffers, withOwnBytes } from '../messages/bytes.ts';
import { NO_SOCKET } from '../messages/copy.ts';
import { receiveError, type SentError } from '../messages/database-error.ts';
import type { ClientMessage, ServerMessage } from '../messages/protocol.ts';
import { withIntervals } from '../messages/results.ts';
import type { Submission } from '../types.ts';
import { apart } from './apart.ts';
import type { Hold } from './hold.ts';
import { RowParsing } from './row-parsing.ts';
import { wayOf } from './way.ts';

/** The methods that the driver calls on what was submitted. */
interface Handlers extends Submission {
  callback?: unknown;
  _result?: { _types?: CustomTypesConfig | undefined };
  handleRowDescription(message: unknown): void;
  handleDataRow(message: unknown): void;
  handlePortalSuspended(connection: unknown): void;
  handleCommandComplete(message: unknown, connection: unknown): void;
  handleEmptyQuery(connection: unknown): void;
  handleReadyForQuery(connection: unknown): void;
  handleError(error: Error, connection: unknown): void;
}

/** The values are parsed before the object is told of them. */
const PARSED: CustomTypesConfig = { getTypeParser: () => (value: unknown) => value };

export function isSubmission(query: unknown): query is Submission {
  return typeof query === 'object' && query !== null && typeof (query as { submit?: unknown }).submit === 'function';
}

/**
 * Hands the object a connection of its own. `over` is called when the object is through with it. `types`: the client's parsers, if it has
 * some of its own. As in pg they are for an object that brings none.
 */
export function submitTo(hold: Hold, submission: Submission, over: () => void, types?: CustomTypesConfig): void {
  const query = submission as Handlers;
  const brings = query._result === undefined || query._result._types !== undefined;
  const rows = brings ? undefined : types !== undefined ? new RowParsing(types) : wayOf(hold.sessions).rows?.();
  if (!brings) query._result!._types = PARSED;
  const connection = new SubmissionConnection(hold, query, !brings && rows === undefined, rows, over);
  const problem = problemOf(() => query.submit(connection as never));
  if (problem !== undefined)
    process.nextTick(() => {
      apart(() => query.handleError(problem, connection));
      over();
    });
}

function problemOf(submit: () => unknown): Error | undefined {
  try {
    const problem = submit();
    return problem instanceof Error ? problem : undefined;
  } catch (error) {
    return error as Error;
  }
}

/** As in pg, an object that comes when nothing can be sent any more is told so, too, a little later. */
export function refuseSubmission(submission: Submission, error: Error): void {
  process.nextTick(() => (submission as Handlers).handleError(error, new EventEmitter()));
}

let submissions = 0;

class SubmissionConnection extends EventEmitter {
  readonly stream = NO_SOCKET;
  parsedStatements = {};
  submittedNamedStatements = {};
  readonly #name: string;
  readonly #hold: Hold;
  readonly #query: Handlers;
  /** The values are parsed on the owner. */
  readonly #isParsed: boolean;
  /** They are parsed here. */
  readonly #rows: RowParsing | undefined;
  readonly #over: () => void;
  #messages: ClientMessage[] = [];
  #fields: readonly FieldDef[] = [];
  /** What the object sends before its first messages are answered. Those open what the others go on with. */
  #later: (readonly ClientMessage[])[] = [];
  #progress: 'new' | 'opening' | 'open' = 'new';
  #hasFailed = false;
  #isOver = false;
  /** A parser of this thread has thrown. */
  #isUnreadable = false;
  /** Settles when the rows so far are parsed. */
  #parsed: Promise<void> = Promise.resolve();

  constructor(hold: Hold, query: Handlers, isParsed: boolean, rows: RowParsing | undefined, over: () => void) {
    super();
    this.setMaxListeners(0);
    this.#hold = hold;
    this.#name = `${hold.id}:${++submissions}`;
    this.#query = query;
    this.#isParsed = isParsed;
    this.#rows = rows;
    this.#over = over;
  }

  // ── what it sends

  parse({ text, name }: { text: string; name?: string }): void {
    this.#messages.push(['parse', name === undefined ? { text } : { text, name }]);
  }

  bind(body: {
    portal?: string;
    statement?: string;
    values?: unknown[] | null;
    binary?: boolean;
    valueMapper?: (value: unknown) => unknown;
  }): void {
    const { valueMapper, values, ...rest } = body;
    const sent = (values ?? []).map((value) => withOwnBytes(valueMapper === undefined ? value : valueMapper(value)));
    this.#messages.push(['bind', { ...rest, values: sent }]);
  }

  describe(body: unknown): void {
    this.#messages.push(['describe', body]);
  }

  execute(body: unknown): void {
    this.#messages.push(['execute', body]);
  }

  close(body: unknown): void {
    this.#messages.push(['close', body]);
  }

  query(text: string): void {
    this.#messages.push(['query', text]);
    this.#send();
  }

  flush(): void {
    this.#messages.push(['flush']);
    this.#send();
  }

  sync(): void {
    this.#messages.push(['sync']);
    this.#send();
  }

  #send(): void {
    const messages = this.#messages;
    this.#messages = [];
    if (this.#progress === 'opening') this.#later.push(messages);
    else void this.#sendNow(messages);
  }

  /** Sends at once: what is asked after this comes behind it. */
  async #sendNow(messages: readonly ClientMessage[]): Promise<void> {
    if (this.#isOver) return;
    // With a sync the submission ends by itself. Until then it has the connection, and waits for this thread.
    if (messages.some(([type]) => type === 'sync' || type === 'query')) this.#hold.endsStream(this);
    else if (this.#progress === 'new') this.#hold.streams(this);
    if (this.#progress === 'new') this.#progress = 'opening';
    try {
      const { messages: said, error } = await this.#hold.call((session, borrow) =>
        session.submit(borrow, this.#name, messages, this.#isParsed),
      );
      if (error === undefined) this.#opened();
      if (this.#rows !== undefined && said !== undefined) await this.#parse(this.#rows, said);
      for (const message of said ?? []) this.#tell(message);
      if (error !== undefined) this.#fail(receiveError(error));
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #tell(message: ServerMessage): void {
    // Parsers that the object has brought run when it is told of a row. What one throws is the object's error, and a listener's is not.
    const isRow = message[0] === 'dataRow' && !((this.#query as Partial<EventEmitter>).listenerCount?.('row') ?? 0);
    if (!isRow) return apart(() => this.#hear(message));
    try {
      this.#hear(message);
    } catch (error) {
      this.#unreadable(error as Error);
    }
  }

  /** A parser of the program's has thrown: the object asks for the end, and is told of nothing else. */
  #unreadable(error: Error): void {
    this.#isUnreadable = true;
    this.#hasFailed = true;
    apart(() => this.#query.handleError(error, this));
  }

  /** One batch after the other, though the owner's program may have to parse something of one. */
  #parse(rows: RowParsing, said: readonly ServerMessage[]): Promise<void> {
    const parse = async (): Promise<void> => {
      if (!this.#isUnreadable) await rows.parse(said, (columns) => this.#hold.parse(columns));
    };
    this.#parsed = this.#parsed.then(parse).catch((error) => this.#unreadable(error));
    return this.#hold.during(this.#parsed);
  }

  #opened(): void {
    if (this.#progress === 'open') return;
    this.#progress = 'open';
    for (const messages of this.#later.splice(0)) void this.#sendNow(messages);
  }

  // ── what it hears

  #hear([event, body]: ServerMessage): void {
    if (this.#isUnreadable && event !== 'readyForQuery') return;
    const query = this.#query;
    switch (event) {
      case 'rowDescription':
        this.#fields = (body as { fields: FieldDef[] }).fields;
        query.handleRowDescription(body);
        break;
      case 'dataRow': {
        const { fields } = body as { fields: unknown[] };
        const row = this.#rows === undefined ? fields.map(asBuffers) : fields;
        query.handleDataRow({ fields: this.#isParsed ? withIntervals(this.#fields, row) : row });
        break;
      }
      case 'commandComplete':
        query.handleCommandComplete(body, this);
        break;
      case 'portalSuspended':
        query.handlePortalSuspended(this);
        break;
      case 'emptyQuery':
        query.handleEmptyQuery(this);
        break;
      case 'error':
        this.#hasFailed = true;
        query.handleError(receiveError(body as SentError), this);
        return;
      case 'readyForQuery':
        this.#end();
        if (!this.#hasFailed) apart(() => query.handleReadyForQuery(this));
        this.#over();
        break;
    }
    this.emit(event, body);
  }

  /** The connection is lost, or the client was given back. */
  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#end();
    if (!this.#hasFailed) apart(() => this.#query.handleError(error, this));
    this.emit('readyForQuery');
    this.emit('end');
    this.#over();
  }

  #end(): void {
    this.#isOver = true;
    this.#hold.endsStream(this);
  }
}
