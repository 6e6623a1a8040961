// What typescript.js registers: a .ts file is loaded as what esbuild makes of it. That is kept in node_modules/.cache, as each thread
// of a program loads its files anew, and esbuild takes longer to start than the thread.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

const cache = new URL('../node_modules/.cache/cenote-typescript/', import.meta.url);
const { version } = JSON.parse(readFileSync(new URL('../node_modules/esbuild/package.json', import.meta.url), 'utf8'));

/** @type {import('node:module').LoadHook} */
export async function load(url, context, next) {
  if (!/^file:.*\.m?ts$/.test(url)) return next(url, context);
  const path = fileURLToPath(url);
  return { format: 'module', shortCircuit: true, source: await compiled(basename(path), readFileSync(path, 'utf8')) };
}

/** The key holds all that decides on the result: a copy in another folder is the same. */
async function compiled(name, text) {
  const key = createHash('sha256').update(`${version}\n${name}\n${text}`).digest('hex');
  const place = new URL(`${name}-${key.slice(0, 32)}.js`, cache);
  try {
    return readFileSync(place, 'utf8');
  } catch {
    const { transform } = await import('esbuild');
    const { code } = await transform(text, { loader: 'ts', format: 'esm', target: 'node20', sourcefile: name, sourcemap: 'inline' });
    keep(place, code);
    return code;
  }
}

/** Written next to its place and moved there, as other threads and processes look at the same time. */
function keep(place, code) {
  const draft = new URL(`${place.href}.${process.pid}.${Math.random().toString(36).slice(2)}`);
  try {
    mkdirSync(cache, { recursive: true });
    writeFileSync(draft, code);
    renameSync(draft, place);
  } catch {
    // A user who may not write here waits for esbuild each time.
  }
}
