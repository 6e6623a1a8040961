// `--set file:NAME=number`: runs the build as if this constant of that file in src had another value. For numbers that are guesses, and are no
// options.
// Loaded before the benchmark in every thread: `node --import ./bench/pg/set.js`.
import { existsSync, readFileSync } from 'node:fs';
import { register } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isMainThread } from 'node:worker_threads';

const VARIABLE = 'CENOTE_BENCH_SET';
const dist = fileURLToPath(new URL('../../dist/', import.meta.url));

// Threads have the environment of the main thread, and not its arguments.
if (isMainThread) process.env[VARIABLE] = JSON.stringify(settingsIn(process.argv));
const settings = JSON.parse(process.env[VARIABLE] ?? '[]');
if (settings.length > 0) register(new URL('./set-hooks.js', import.meta.url), { data: settings });

/** The file and the declaration of each constant, and what it is to be. Ends the process where there is not exactly one of that name. */
function settingsIn(args) {
  const asked = args.flatMap((arg, at) => (arg === '--set' ? [args[at + 1] ?? ''] : arg.startsWith('--set=') ? [arg.slice(6)] : []));
  return asked.map((text) => {
    const [, file, name, value] =
      /^([\w/-]+):([A-Z_]+)=(\d+(?:\.\d+)?)$/.exec(text) ?? refuse(text, 'is not like pg/driver/batch:PATIENCE=20');
    const path = `${dist}${file}.js`;
    const declared = existsSync(path) ? new RegExp(`^const ${name} = [\\d_.]+;$`, 'm').exec(readFileSync(path, 'utf8')) : null;
    if (declared === null) refuse(text, `names no number that the build has in ${file}.js`);
    return { url: pathToFileURL(path).href, from: declared[0], to: `const ${name} = ${value};` };
  });
}

function refuse(text, why) {
  console.error(`--set ${text}: this ${why}`);
  process.exit(1);
}
