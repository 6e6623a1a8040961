/** Which requests may read the dashboard: by the address that was asked for, and by the token. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv6 } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Can only programs of this machine reach it? A name that is not of this machine for sure is taken for one that others can reach. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost') return true;
  return isIP(host) !== 0 && loopback.check(host, isIPv6(host) ? 'ipv6' : 'ipv4');
}

/** A Host header without its port; IPv6 without brackets. */
function hostIn(header: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(header);
  return (bracketed?.[1] ?? header.replace(/:\d+$/, '')).toLowerCase();
}

/**
 * Was the request meant for this server? A page of another site may have its name point to this address (DNS rebinding), and then reads
 * what it likes; but the browser tells that name. Good: loopback, the host that was given, and the very address that the request came in
 * at.
 */
export function isMeantFor(host: string, request: IncomingMessage): boolean {
  const asked = hostIn(request.headers.host ?? '');
  if (asked === '') return false;
  const local = request.socket.localAddress?.replace(/^::ffff:/, '');
  return isLoopback(asked) || asked === host.toLowerCase() || (isIP(asked) !== 0 && asked === local);
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

export class Token {
  /** A cookie says that its browser has shown the token. It is not the token. */
  readonly #cookie: string;
  readonly #cookieName: string;
  readonly #expected: Buffer;

  constructor(token: string) {
    this.#expected = digest(token);
    this.#cookie = randomBytes(24).toString('base64url');
    this.#cookieName = `cenote_${randomBytes(6).toString('hex')}`;
  }

  /** Whether the request may be answered, and the cookie to set, if it came by `?token=`. */
  admits(request: IncomingMessage, query: URLSearchParams): { admitted: boolean; cookie?: string } {
    const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (bearer !== undefined) return { admitted: this.#is(bearer) };
    const shown = query.get('token');
    if (shown !== null)
      return this.#is(shown)
        ? { admitted: true, cookie: `${this.#cookieName}=${this.#cookie}; HttpOnly; SameSite=Strict; Path=/` }
        : { admitted: false };
    for (const each of (request.headers.cookie ?? '').split(';')) {
      const [name, value] = each.trim().split('=');
      if (name === this.#cookieName && value !== undefined) return { admitted: timingSafeEqual(digest(value), digest(this.#cookie)) };
    }
    return { admitted: false };
  }

  #is(shown: string): boolean {
    return timingSafeEqual(digest(shown), this.#expected);
  }
}
