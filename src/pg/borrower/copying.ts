/**
 * COPY with the streams of pg-copy-streams, on any thread that has the driver: the stream is given a client of the driver's, and the bytes
 * go to the server and back over the owner, as much as each side takes.
 */

import { StreamChannel } from '../driver/channel.ts';
import { driverHere } from '../driver/driver-here.ts';
import { Lane } from '../driver/lane.ts';
import { receiveError } from '../messages/database-error.ts';
import { packed, unpacked } from '../messages/frames.ts';
import type { Answer } from '../messages/protocol.ts';
import type { Submission } from '../types.ts';
import type { Hold } from './hold.ts';

/** A stream that is a query, and no cursor's. */
export function isCopyStream(submission: Submission): boolean {
  const { pipe, text, cursor } = submission as { pipe?: unknown; text?: unknown; cursor?: unknown };
  return driverHere() !== undefined && typeof pipe === 'function' && typeof text === 'string' && cursor === undefined;
}

let copies = 0;

/** Hands the stream a client of its own. `over` is called when the server is ready for something else. */
export function copyOver(hold: Hold, submission: Submission, over: () => void): void {
  const lane = new Lane(driverHere()!, {}, new StreamChannel());
  const name = `${hold.id}:copy:${++copies}`;
  let isOpen = false;
  const end = (error?: Error): void => {
    hold.endsStream(submission);
    if (error !== undefined) lane.fail(error);
    over();
  };
  const hear = async (first: Answer): Promise<void> => {
    for (let answer = first; ; ) {
      if (answer.bytes) await lane.hearAll(unpacked(answer.bytes));
      if (answer.error !== undefined) return end(receiveError(answer.error));
      if (!answer.more) return end(answer.broken ? new Error('Connection terminated unexpectedly') : undefined);
      answer = await hold.call((session, borrow) => session.hear(borrow, name));
    }
  };
  lane.takes(async (bytes) => {
    const isFirst = !isOpen;
    isOpen = true;
    const answer = await hold.call((session, borrow) => session.speak(borrow, name, packed([bytes]), 0));
    // Each further part is only taken; what the server says to it is heard below.
    if (isFirst) hear(answer).catch(end);
  });
  hold.streams(submission);
  // What this gives is the stream, and what it tells is told by the stream.
  lane.client.query(submission as never);
  if (!isOpen) end();
}
