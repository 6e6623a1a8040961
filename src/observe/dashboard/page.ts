/** The page, as the build has put it together: one file, with what it needs inside. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface Page {
  readonly html: string;
  /** Lets run what is in the page, and nothing else; it may ask this server, and no other. */
  readonly policy: string;
}

let page: Page | undefined;

export function loadPage(): Page {
  page ??= readPage();
  return page;
}

function readPage(): Page {
  const html = readFileSync(new URL('../page.html', import.meta.url), 'utf8');
  const hashes = (tag: string): string =>
    [...html.matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, 'gs'))]
      .map(([, text]) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`)
      .join(' ');
  const policy = [
    `default-src 'none'`,
    `script-src ${hashes('script')}`,
    `style-src ${hashes('style')}`,
    `connect-src 'self'`,
    `img-src data:`,
    `base-uri 'none'`,
    `form-action 'none'`,
    `frame-ancestors 'none'`,
  ].join('; ');
  return { html, policy };
}
