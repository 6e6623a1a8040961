/**
 * What the core takes from Node. A global may be another's, and is then not what its name says: under jsdom a timer is a number and
 * structuredClone is missing, fake timers stand still until a test moves them, and `process` in a test of Jest is a copy on which Node
 * emits nothing. The linter refuses those globals in the core; only this file knows where else they are.
 */
import { performance } from 'node:perf_hooks';
import { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } from 'node:timers';
import { runInThisContext } from 'node:vm';
import { MessageChannel } from 'node:worker_threads';

/** The context that Node has started in. Test runners load a program into others, whose globals they choose. */
const node = runInThisContext('globalThis') as typeof globalThis;

export const { process, structuredClone, AbortController } = node;
export const DOMException: new (message: string, name: string) => Error = node.DOMException;
/**
 * A library that fakes timers replaces those of the module, too; but what has been imported by name changes only with
 * `syncBuiltinESMExports` of node:module.
 */
export { clearInterval, clearTimeout, MessageChannel, performance, setImmediate, setInterval, setTimeout };

const settled = Promise.resolve();

/** As the global. By a promise, since those are part of the language, and faked by nothing. */
export const queueMicrotask = (run: () => void): void => void settled.then(run);
