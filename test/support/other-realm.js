// A program in a realm of its own, as test runners make one for tests of web pages: timers give numbers, much is missing, and `process` is a copy on which
// Node emits nothing. Needs --experimental-vm-modules.
import { EventEmitter } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';

const number =
  (make) =>
  (...args) =>
    make(...args)[Symbol.toPrimitive]();

/** Runs the text of a module, whose imports are found from here. `given` are its globals besides. */
export async function inOtherRealm(code, given = {}) {
  const { version, hrtime, emitWarning } = process;
  const copy = Object.assign(new EventEmitter(), { version, hrtime, emitWarning });
  const never = () => {};
  const context = vm.createContext({
    ...given,
    console,
    process: copy,
    setTimeout: number(setTimeout),
    setInterval: number(setInterval),
    clearTimeout,
    clearInterval,
    setImmediate: never,
    queueMicrotask: never,
    performance: { now: () => 0 },
  });
  const modules = new Map();
  const load = (url, text) => {
    const fresh = new vm.SourceTextModule(text, { context, identifier: url });
    modules.set(url, fresh);
    return fresh;
  };
  const builtin = async (name) => {
    const exports = { ...(name === 'node:process' ? { ...copy, default: copy } : await import(name)) };
    return new vm.SyntheticModule(
      Object.keys(exports),
      function () {
        for (const [key, value] of Object.entries(exports)) this.setExport(key, value);
      },
      { context, identifier: name },
    );
  };
  const link = async (specifier, { identifier }) => {
    if (specifier.startsWith('node:')) return builtin(specifier);
    const url = specifier.startsWith('.') ? new URL(specifier, identifier).href : import.meta.resolve(specifier);
    return modules.get(url) ?? load(url, await readFile(fileURLToPath(url), 'utf8'));
  };
  const main = load(import.meta.url, code);
  await main.link(link);
  await main.evaluate();
  return main.namespace;
}
