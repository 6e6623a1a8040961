/** The thread's own driver: the one that the program gives, or the one that is installed, or none. */
import { createRequire } from 'node:module';
import { setImmediate } from 'node:timers';
import { packed } from '../messages/frames.ts';
import { say } from '../messages/question.ts';
import { driverHere } from './driver-here.ts';
import { assertDriverVersion, NEEDED } from './driver-version.ts';
import { type Driver, Lane } from './lane.ts';
import { untraced } from './untraced.ts';

/** What an attach is told of the driver. */
export type Given = Driver | false | undefined;

/** The driver, or an error that says how to get it. */
export async function requiredDriver(): Promise<Driver> {
  assertDriverVersion();
  try {
    return await installed();
  } catch (cause) {
    throw new Error(`cenote/pg needs ${NEEDED} beside it: npm install pg@8`, { cause });
  }
}

/** The driver, or why there is none. Throws a TypeError for something that is no driver. */
export async function driverFor(given: Given): Promise<{ driver: Driver } | { why: string }> {
  if (given === false) return { why: 'pg: false was given to attachPgPool' };
  if (given === undefined) {
    try {
      assertDriverVersion();
      return speaks(await installed());
    } catch (error) {
      return { why: `this thread has no driver that will do: ${(error as Error).message.split('\n', 1)[0]}` };
    }
  }
  const driver = moduleOf(given);
  if (typeof driver?.Client !== 'function' || typeof driver.types?.getTypeParser !== 'function')
    throw new TypeError("pg must be the module 'pg', or false: import pg from 'pg', and pass { pg }");
  return speaks(driver);
}

/**
 * The driver for a class that extends its client, at once: the one that is given, or the one that is installed. Throws if there is none.
 */
export function driverNow(given: Driver | undefined): Driver {
  return moduleOf(given ?? driverHere() ?? (createRequire(import.meta.url)('pg') as Driver));
}

const installed = async (): Promise<Driver> => moduleOf((await import('pg')) as Driver);

/** A CommonJS module that was imported has itself once more as its default. */
const moduleOf = (module: Driver): Driver => (module as Driver & { default?: Driver }).default ?? module;

/** What a server says to `select 1 as a`. */
const ANSWER = Buffer.from(
  '540000001a00016100000000000000000000170004ffffffff000044000000' + '0b000100000001' + '31430000000d53454c4543542031005a0000000549',
  'hex',
);

/** Tries whether the driver can be used as a translator. What that needs of it is not documented. */
async function speaks(driver: Driver): Promise<{ driver: Driver } | { why: string }> {
  try {
    const lane = new Lane(driver, {});
    const said = untraced(() => lane.ask(say('select 1 as a')));
    if (said === undefined || packed([said]) !== 'Q\0\0\0\x12select 1 as a\0') throw new Error('it does not say a query as expected');
    lane.hear(ANSWER);
    const late = new Promise<never>((_, reject) => setImmediate(reject, new Error('it does not hear an answer as expected')));
    const outcome = await Promise.race([lane.settled(), late]);
    const rows = 'result' in outcome ? (outcome.result as { rows: unknown[] }).rows : [];
    if (rows.length !== 1 || !lane.isFree) throw new Error('it does not read an answer as expected');
    return { driver };
  } catch (error) {
    return { why: `this version of pg cannot be used on a borrower's thread: ${(error as Error).message}` };
  }
}
