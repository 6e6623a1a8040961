import { readFileSync } from 'node:fs';

type Exports = Record<string, string | { default: string }>;
const { name, exports } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  name: string;
  exports: Exports;
};

/** What can be imported of the package ('cenote/worker'), and the file that it is ('./dist/worker/index.js'). */
export const ENTRIES: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(exports).flatMap(([path, entry]) => (typeof entry === 'string' ? [] : [[name + path.slice(1), entry.default]])),
);
