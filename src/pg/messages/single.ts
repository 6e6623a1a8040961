/** What a borrower's bytes say, if that is one statement without a name and nothing else: as the driver says a plain query. */
import { CLIENT, textAt } from './frames.ts';

const HEADER = 5;

/** The statement's text; undefined for all other bytes. */
export function singleIn(bytes: Buffer): string | undefined {
  let text: string | undefined;
  for (let at = 0, end = 0; at < bytes.length; at = end) {
    const body = at + HEADER;
    if (body > bytes.length) return undefined;
    end = at + 1 + bytes.readUInt32BE(at + 1);
    if (end < body || end > bytes.length) return undefined;
    switch (bytes[at]) {
      case CLIENT.query:
        return at === 0 && end === bytes.length && bytes[end - 1] === 0 ? textAt(bytes, body) : undefined;
      case CLIENT.parse:
        if (at > 0 || end - body < 2 || bytes[body] !== 0) return undefined;
        text = textAt(bytes, body + 1);
        // It ends in the message.
        if (bytes.indexOf(0, body + 1) >= end) return undefined;
        break;
      case CLIENT.bind:
        if (text === undefined || end - body < 2 || bytes[body] !== 0 || bytes[body + 1] !== 0) return undefined;
        break;
      case CLIENT.describe:
        if (text === undefined || end - body < 2 || bytes[body + 1] !== 0) return undefined;
        break;
      case CLIENT.execute:
        if (text === undefined || end - body < 1 || bytes[body] !== 0) return undefined;
        break;
      case CLIENT.sync:
        return end === bytes.length ? text : undefined;
      default:
        return undefined;
    }
  }
  return undefined;
}

/** True if such a statement is said in the simple protocol. */
export const isSimple = (single: Buffer): boolean => single[0] === CLIENT.query;
