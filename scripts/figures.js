// `npm run figures`: writes the short tables of figures (README, and the top of each page on performance) anew, from the full tables
// on the pages on performance. So no figure is copied by hand. The tests compare, and write nothing.
//
// `npm run figures -- bench:pg [its options]`, or `-- bench`, takes the figures of that page first.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const BEGIN = '<!-- summary: written by npm run figures -->';
const END = '<!-- end of summary -->';

/** Where each benchmark puts its tables. */
const PAGES = { bench: 'docs/performance.md', 'bench:pg': 'docs/performance-pg.md' };

/** The questions of `npm run bench`, each with one rival, that stand for the others. */
const CORE = [
  ['worker: tryAcquireSync + release', 'compare-exchange pair'],
  ['worker: await acquire + release', 'bare await'],
  ['owner: await acquire + release', 'generic-pool'],
  ['hand-offs: 4 threads on 2, 20 us', 'permits by message'],
  ['hand-offs: 4 threads on 2, 20 us', 'barging mutex'],
  ['hand-offs: 4 threads on 2, 1 us', 'barging mutex'],
  ['order: 6 threads on 2, out of line', 'barging mutex'],
  ['call: one at a time', 'postMessage'],
  ['attach: first time on a thread', 'starting a bare thread'],
  ['demo: connections that the server has', 'a pool in each thread'],
];

/** Rows of `npm run bench:pg`: the table, the work, the number of threads. */
const PG = [
  ['Queries a second', 'point query', 1],
  ['Queries a second', 'point query', 8],
  ['Queries a second', '1,000 rows', 8],
  ['Queries a second', '100 KB', 8],
  ['Queries a second', 'point query, then 2 ms of computing', 8],
  ['Queries a second', 'transaction of 3 statements', 8],
  ['99 of 100 queries took less than, in ms', 'point query', 8],
  ['99 of 100 queries took less than, in ms', 'transaction of 3 statements', 8],
  ['CPU time of the main thread for each query, in us', 'point query', 8],
  ['Connections that the server has', undefined, 8],
];

const PG_RIVALS = ['pool of 4 in each', 'pool of 1 in each', 'comlink'];

/** What the README shows: of the first list, and of the second, beside a pool in each thread. */
const README_CORE = [CORE[0], CORE[2], CORE[4], CORE[6]];
const README_PG = [PG[1], PG[9]];

/** What each page's short table must be: by path from the root. */
export function summaries() {
  return {
    'README.md': readme(),
    'docs/performance.md': core('docs/performance.md'),
    'docs/performance-node24.md': core('docs/performance-node24.md'),
    'docs/performance-pg.md': pg(),
  };
}

/** The short table that a page has. Throws when it has no place for one. */
export function summaryIn(path) {
  const [, summary] = split(path);
  return summary;
}

function split(path) {
  const text = readFileSync(root + path, 'utf8');
  const from = text.indexOf(BEGIN);
  const to = text.indexOf(END);
  if (from < 0 || to < from) throw new Error(`${path} has no place for a summary: a line ${BEGIN}, and after it a line ${END}`);
  return [text.slice(0, from + BEGIN.length), text.slice(from + BEGIN.length, to), text.slice(to)];
}

function readme() {
  const bench = README_CORE.map(([question, rival]) => {
    const row = coreRow('docs/performance.md', question, rival);
    return [question, row.cenote, rival, row.figure];
  });
  const benchPg = README_PG.map(([title, work, threads]) => {
    const row = pgRow(title, work, threads);
    return [pgName(title, work, threads), row.cenote, 'a pool of 4 in each', row['pool of 4 in each']];
  });
  return fence(['$ npm run bench', '$ npm run bench:pg'], [bench, benchPg], ['', 'cenote', 'beside it', '']);
}

function core(path) {
  const rows = CORE.map(([question, rival]) => {
    const row = coreRow(path, question, rival);
    return [question, row.cenote, rival, row.figure, row.ratio];
  });
  return fence(['$ npm run bench'], [rows], ['', 'cenote', 'beside it', '', 'ratio']);
}

function pg() {
  const rows = PG.map(([title, work, threads]) => {
    const row = pgRow(title, work, threads);
    return [pgName(title, work, threads), row.cenote, '', ...PG_RIVALS.map((way) => row[way] ?? '-')];
  });
  return fence(['$ npm run bench:pg'], [rows], ['', 'cenote', '', ...PG_RIVALS]);
}

const pgName = (title, work, threads) => `${title}${work === undefined ? '' : `: ${work}`}, ${threads} thread${threads === 1 ? '' : 's'}`;

/** Groups of rows, each under the command that took it, in columns; figures to the right. */
function fence(commands, groups, head) {
  const width = head.map((name, at) => Math.max(name.length, ...groups.flat().map((row) => row[at].length)));
  const line = (row) =>
    row
      .map((cell, at) => (at === 0 || at === 2 ? cell.padEnd(width[at]) : cell.padStart(width[at])))
      .join('   ')
      .trimEnd();
  const lines = commands.flatMap((command, at) => [at === 0 ? line([command, ...head.slice(1)]) : command, ...groups[at].map(line)]);
  return `\n\n\`\`\`text\n${lines.join('\n')}\n\`\`\`\n\n`;
}

/** A row of the table that `npm run bench` writes. A row without a question answers that of the row above. */
function coreRow(path, question, rival) {
  const lines = readFileSync(root + path, 'utf8').split('\n');
  const ruler = lines.find((line) => /^-{20,}( +-+)+$/.test(line));
  if (ruler === undefined) throw new Error(`${path} has no table of npm run bench`);
  const columns = [...ruler.matchAll(/-+/g)].map(({ index, 0: { length } }) => [index, index + length]);
  let asked = '';
  for (const line of lines.slice(lines.indexOf(ruler) + 1)) {
    const [name, cenote, other, figure, ratio] = columns.map(([from, to]) => line.slice(from, to).trim());
    asked = name || asked;
    if (asked === question && other === rival) return { cenote, figure, ratio };
    if (line.startsWith('```')) break;
  }
  throw new Error(`${path} has no row for ${question}, ${rival}`);
}

/** A row of one of the tables that `npm run bench:pg` writes. */
function pgRow(title, work, threads) {
  const path = 'docs/performance-pg.md';
  const table = readFileSync(root + path, 'utf8')
    .split(`**${title}**`)[1]
    ?.match(/(?:^\|.*\|\n)+/m)?.[0];
  if (table === undefined) throw new Error(`${path} has no table ${title}`);
  const [head, , ...rows] = table
    .trim()
    .split('\n')
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
  const found = rows
    .map((row) => Object.fromEntries(row.map((cell, at) => [head[at], cell])))
    .find((row) => row.work === work && row.threads === String(threads));
  if (found === undefined) throw new Error(`${path} has no row for ${title}, ${work}, ${threads} threads`);
  return found;
}

function measure(benchmark, options) {
  const page = PAGES[benchmark];
  if (page === undefined) throw new Error(`There is no benchmark ${benchmark} with a page: ${Object.keys(PAGES).join(', ')}`);
  const { status } = spawnSync('npm', ['run', benchmark, '--', '--into', page, ...options], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [benchmark, ...options] = process.argv.slice(2);
  if (benchmark !== undefined) measure(benchmark, options);
  for (const [path, summary] of Object.entries(summaries())) {
    const [before, , after] = split(path);
    writeFileSync(root + path, before + summary + after);
  }
}
