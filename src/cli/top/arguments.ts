/** The options after `cenote top`. */
import { parseArgs } from 'node:util';
import { UsageError } from '../options.ts';

export interface TopOptions {
  /** Of the dashboard. */
  readonly url: URL;
  readonly token: string | undefined;
  readonly once: boolean;
  readonly json: boolean;
}

export const TOP_HELP = `usage: cenote top <url> [options]

Shows live what serveDashboard of cenote/observe serves at that address: each pool, who holds what, who waits, and
deadlocks. On a terminal it goes on until Ctrl-C or q; elsewhere it prints once. A port alone is one of this machine.

  --token text   what the dashboard wants to be shown. The environment variable CENOTE_TOKEN does, too
  --once         print once and end
  --json         one JSON for each snapshot, in a line of its own
  -h, --help     this text

Exit code 1: not reachable, or not let in. 2: wrong options.

example: cenote top http://127.0.0.1:9090 --once
`;

const OPTIONS = {
  token: { type: 'string' },
  once: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** 'help': it was asked for. Throws UsageError. */
export function parseTop(args: readonly string[]): TopOptions | 'help' {
  const { values, positionals } = parsed(args);
  if (values.help) return 'help';
  const [address, ...rest] = positionals;
  if (address === undefined) throw new UsageError('which dashboard? cenote top http://127.0.0.1:9090');
  if (rest.length > 0) throw new UsageError(`one address is enough, and ${JSON.stringify(rest[0])} is one more`);
  const token = values.token ?? process.env.CENOTE_TOKEN;
  if (token === '') throw new UsageError('--token is empty');
  return { url: urlOf(address), token, once: values.once, json: values.json };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('\n')[0]}. See cenote top --help`);
  }
}

function urlOf(address: string): URL {
  // A port alone would be read as the number of a host.
  const place = /^:?\d+$/.test(address) ? `127.0.0.1:${address.replace(':', '')}` : address;
  const text = /^\w+:\/\//.test(place) ? place : `http://${place}`;
  if (!URL.canParse(text)) throw new UsageError(`${JSON.stringify(address)} is no address like http://127.0.0.1:9090`);
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new UsageError(`the address begins with http:// or https://, not ${url.protocol}//`);
  return url;
}
