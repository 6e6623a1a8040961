/**
 * What a program gives a client that it makes by itself. Where to connect is the owner's to say. What sets the session up becomes the
 * client's profile, and what the driver does with it by itself stays with the client.
 */
import type { ClientConfig } from 'pg';
import type { Address } from '../driver/lane.ts';
import { profileWith } from '../messages/profile.ts';
import { warnOnce } from './warnings.ts';

/** Settings that say where and how to connect, and under which name. */
const WHERE: ReadonlySet<string> = new Set(['connectionString', 'host', 'port', 'user', 'password', 'database', 'ssl', 'sslnegotiation']);

/** Settings that the driver sends when it connects, in ms, unless they are 0 or false. */
const LIMITS = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'] as const;

/** By name: what was given, whatever it is. */
type Given = Readonly<Record<string, unknown>>;

export class ClientSettings {
  /** What is left for the driver: it has no say in where to connect. */
  readonly forDriver: ClientConfig;
  /** See profile.ts. */
  readonly profile: string;
  /** In ms. Undefined: none was given. */
  readonly queryTimeout: number | undefined;
  readonly #given: Given;

  constructor(config: string | ClientConfig | undefined) {
    const given: Given = typeof config === 'string' ? { connectionString: config } : { ...config };
    const { connectionString } = given;
    // As the driver has it, the text counts where both say something.
    this.#given = typeof connectionString === 'string' ? { ...given, ...partsOf(connectionString) } : given;
    if (isSaid(this.#given.replication) && !NO.has(this.#given.replication))
      throw new Error('a client of pgClient() cannot be a replication connection, as others use it in between: make that with pg.Client');
    this.profile = profileOf(this.#given);
    this.queryTimeout = positive(this.#given.query_timeout);
    this.forDriver = Object.fromEntries(Object.entries(given).filter(([name]) => !WHERE.has(name)));
  }

  /** True if the program believes that this client goes to another place than the pool does. */
  isElsewhere(address: Address): boolean {
    return (Object.keys(BY_DEFAULT) as (keyof Address)[]).some((name) => {
      const given = this.#given[name];
      return isSaid(given) && !BY_DEFAULT[name].includes(given) && String(given) !== String(address[name]);
    });
  }
}

/** What ORMs say where the program has said nothing. */
const BY_DEFAULT: Readonly<Record<keyof Address, readonly unknown[]>> = {
  host: ['localhost', '127.0.0.1'],
  port: [5432],
  user: ['postgres'],
  database: [],
};

/** What the server takes for no replication. */
const NO: ReadonlySet<unknown> = new Set(['false', 'off', 'no', '0', 0]);

const isSaid = (value: unknown): boolean => value !== undefined && value !== null && value !== '' && value !== false;

function positive(value: unknown): number | undefined {
  const number = Number.parseInt(String(value), 10);
  return number > 0 ? number : undefined;
}

/** What a connection string says, of the settings that count here. */
function partsOf(connectionString: string): Given {
  try {
    const { hostname, port, username, pathname, searchParams } = urlOf(connectionString);
    const host = hostname === NOWHERE ? undefined : hostname;
    const said = { host, port, user: decodeURIComponent(username), database: decodeURIComponent(pathname.slice(1)) };
    const parts = { ...said, ...Object.fromEntries(searchParams) };
    return Object.fromEntries(Object.entries(parts).filter(([, value]) => isSaid(value)));
  } catch {
    // The driver reads more than URLs, the path of a socket for example. Where that goes is not known here.
    return { host: connectionString };
  }
}

/** A host that stands for none, as URLs of this kind must have one. */
const NOWHERE = 'nowhere.invalid';

function urlOf(connectionString: string): URL {
  const hasHost = !/^[a-z]+:\/\/(?:[^/?#]*@)?(?:[/?#]|$)/i.test(connectionString);
  return new URL(hasHost ? connectionString : connectionString.replace(/^([a-z]+:\/\/(?:[^/?#]*@)?)/i, `$1${NOWHERE}`));
}

// ── what sets the session up

function profileOf(given: Given): string {
  const settings = new Map<string, string>();
  // What the driver sends by name counts, where `options` says something else.
  if (isSaid(given.options)) for (const [name, value] of optionsIn(String(given.options))) settings.set(name, value);
  const name = isSaid(given.application_name) ? given.application_name : given.fallback_application_name;
  if (isSaid(name)) settings.set('application_name', String(name));
  for (const limit of LIMITS) {
    const milliseconds = given[limit] ? Number.parseInt(String(given[limit]), 10) : Number.NaN;
    if (!Number.isNaN(milliseconds)) settings.set(limit, String(milliseconds));
  }
  if (settings.size === 0) return '';
  const calls = Array.from(settings, (_, at) => `pg_catalog.set_config($${2 * at + 1}, $${2 * at + 2}, false)`);
  return profileWith('', `select ${calls.join(', ')}`, [...settings].flat());
}

/** Settings that can be made only when a session begins. */
const AT_THE_BEGINNING: ReadonlySet<string> = new Set([
  'ignore_system_indexes',
  'jit_debugging_support',
  'jit_profiling_support',
  'log_connections',
  'log_disconnections',
  'post_auth_delay',
]);

/** The settings in a text for the server's command line: `-c name=value`, or `--name=value`. A backslash escapes a space. */
function* optionsIn(text: string): Generator<[name: string, value: string]> {
  const words = [...text.matchAll(/(?:\\[\s\S]|[^\s\\])+/g)].map(([word]) => word.replaceAll(/\\([\s\S])/g, '$1'));
  for (let at = 0; at < words.length; at++) {
    const said = words[at] === '-c' && at + 1 < words.length ? words[++at] : words[at].replace(/^-c|^--/, '');
    const isSetting = said !== words[at] || words[at - 1] === '-c';
    const [, given = '', value] = /^([^=]+)=([\s\S]*)$/.exec(said) ?? [];
    const name = given.replaceAll('-', '_');
    if (isSetting && name !== '' && !AT_THE_BEGINNING.has(name.toLowerCase())) yield [name, value];
    else
      warnOnce(
        'CENOTE_PG_CLIENT_OPTIONS',
        `a client of pgClient() was given ${JSON.stringify(words[at].split('=', 1)[0])} in options: it is ignored, as only settings count there that may be made in a session, like -c name=value`,
      );
  }
}
