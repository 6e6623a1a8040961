/** What a borrower's bytes say, if that is one statement without a name and nothing else: as the driver says a plain query. */
import { CLIENT, textAt } from './frames.ts';

const HEADER = 5;

/** The statement's text; undefined for all other bytes. */
export function singleIn(bytes: Buffer): string | undefined {
  let text: string | undefined;
  for (let at = 0, end = 0; at < bytes.length; at = end) {
    if (at + HEADER > bytes.length) return undefined;
    const length = bytes.readUInt32BE(at + 1);
    end = at + 1 + length;
    if (length < HEADER - 1 || end > bytes.length) return undefined;
    const body = bytes.subarray(at + HEADER, end);
    switch (bytes[at]) {
      case CLIENT.query:
        return at === 0 && end === bytes.length ? textAt(body, 0) : undefined;
      case CLIENT.parse:
        if (at > 0 || body[0] !== 0) return undefined;
        text = textAt(body, 1);
        break;
      case CLIENT.bind:
        if (text === undefined || body[0] !== 0 || body[1] !== 0) return undefined;
        break;
      case CLIENT.describe:
        if (text === undefined || body[1] !== 0) return undefined;
        break;
      case CLIENT.execute:
        if (text === undefined || body[0] !== 0) return undefined;
        break;
      case CLIENT.sync:
        return end === bytes.length ? text : undefined;
      default:
        return undefined;
    }
  }
  return undefined;
}
