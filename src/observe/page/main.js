/** The page: listens to /events and shows each snapshot. */
import { duration, fill, h, number, setText } from './dom.js';
import { PoolView } from './pool.js';

const at = (id) => document.getElementById(id);
const views = new Map();
const settings = { minutes: 1, filter: '', isPaused: false };
/** By a knot's text: when this page first saw it. */
const knotsSince = new Map();
let lastHeard = 0;
let latest;

// The token has become a cookie by now: it need not stay in the address.
if (location.search !== '') history.replaceState(null, '', location.pathname);

function show(snapshot) {
  const { title, pools, inspection } = snapshot;
  document.title = title;
  setText(at('title'), title);
  at('empty')?.remove();
  showKnots(inspection.knots);
  const waiting = pools.reduce((sum, pool) => sum + pool.waiting, 0);
  setText(at('summary'), `${pools.length} ${pools.length === 1 ? 'pool' : 'pools'} · ${number(waiting)} waiting`);
  setText(at('at'), new Date(snapshot.at).toLocaleTimeString());
  const by = (rows) => (Map.groupBy ? Map.groupBy(rows, ({ pool }) => pool) : groupBy(rows));
  const [slots, line, threads] = [by(inspection.slots), by(inspection.line), by(inspection.threads)];
  const asleep = new Set(inspection.line.filter(({ sync }) => sync).map(({ threadId }) => threadId));
  for (const figures of pools) {
    const { name } = figures;
    let view = views.get(name);
    if (view === undefined) {
      view = new PoolView(name);
      views.set(name, view);
      at('pools').append(view.element);
    }
    const rows = {
      slots: slots.get(name) ?? [],
      line: line.get(name) ?? [],
      threads: threads.get(name) ?? [],
      asleep,
      knots: inspection.knots.filter((knot) => knot.pools.includes(name)),
    };
    view.update(snapshot.at, figures, rows, { ...settings, isAlone: pools.length === 1 });
    view.element.hidden = !isShown(view, rows);
  }
  order();
  showJobs(snapshot.jobs);
}

function groupBy(rows) {
  const groups = new Map();
  for (const row of rows) groups.set(row.pool, [...(groups.get(row.pool) ?? []), row]);
  return groups;
}

/** By the pool's name, or by the number of a thread that holds or waits there. */
function isShown({ name }, { threads }) {
  const { filter } = settings;
  if (filter === '' || name.toLowerCase().includes(filter)) return true;
  return threads.some(({ threadId, holds, waits }) => String(threadId).includes(filter) && (holds.length > 0 || waits > 0));
}

/** Trouble first. Nothing moves while its place is right, so that the focus stays. */
function order() {
  const parent = at('pools');
  const sorted = [...views.values()].sort((a, b) => b.level - a.level);
  let next = parent.firstElementChild;
  for (const { element } of sorted) {
    if (element === next) next = next.nextElementSibling;
    else parent.insertBefore(element, next);
  }
}

function showKnots(knots) {
  for (const text of knotsSince.keys()) if (!knots.some((knot) => knot.text === text)) knotsSince.delete(text);
  fill(
    at('knots'),
    knots,
    () => h('div', {}, h('button', { type: 'button', textContent: 'Copy' }), h('strong'), h('span')),
    (element, { certainty, text }) => {
      if (!knotsSince.has(text)) knotsSince.set(text, Date.now());
      element.className = `knot ${certainty}`;
      const [button, head, body] = element.children;
      button.onclick = () => navigator.clipboard?.writeText(text);
      setText(head, `DEADLOCK, ${certainty}, ${duration(Date.now() - knotsSince.get(text))} `);
      setText(body, text);
    },
  );
}

/** More jobs than these are counted. */
const MOST_JOBS = 20;

/** `killedThreads` as one reads it. */
const words = (name) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function showJobs(jobs) {
  const section = at('jobs');
  section.hidden = jobs === undefined;
  if (jobs === undefined) return;
  if (section.children.length === 0)
    section.append(h('h2', { textContent: 'Jobs' }), h('p', { className: 'more' }), h('div'), h('p', { className: 'more' }));
  const [, stats, list, more] = section.children;
  setText(
    stats,
    Object.entries(jobs.stats)
      .map(([name, value]) => `${words(name)} ${number(value)}`)
      .join(' · '),
  );
  fill(
    list,
    jobs.progress.slice(0, MOST_JOBS),
    () => h('p', {}, h('progress', { max: 1 }), h('span')),
    (row, { job, name, done, total, message }) => {
      const [bar, text] = row.children;
      if (total > 0) bar.value = Math.min(1, done / total);
      else bar.removeAttribute('value');
      setText(
        text,
        `${name ?? `job ${job}`}: ${number(done)}${total === undefined ? '' : ` of ${number(total)}`}${message === undefined ? '' : ` · ${message}`}`,
      );
    },
  );
  const rest = jobs.progress.length - MOST_JOBS;
  setText(more, rest > 0 ? `and ${rest} more that were heard of lately` : '');
}

// ── state of the stream

function showStatus() {
  const isStale = Date.now() - lastHeard > 3000;
  document.body.className = settings.isPaused ? 'paused' : isStale ? 'stale' : 'live';
  setText(at('state'), settings.isPaused ? 'paused, as of' : isStale ? 'no answer, as of' : 'live, as of');
}

const events = new EventSource('events');
events.onmessage = ({ data }) => {
  lastHeard = Date.now();
  if (settings.isPaused) return;
  latest = JSON.parse(data);
  show(latest);
  showStatus();
};
setInterval(showStatus, 1000);

// ── controls

function pause() {
  settings.isPaused = !settings.isPaused;
  at('pause').ariaPressed = String(settings.isPaused);
  setText(at('pause'), settings.isPaused ? 'Go on' : 'Pause');
  showStatus();
}

function setWindow(minutes) {
  settings.minutes = minutes;
  for (const button of document.querySelectorAll('[data-window]')) button.ariaPressed = String(Number(button.dataset.window) === minutes);
}

at('pause').addEventListener('click', pause);
for (const button of document.querySelectorAll('[data-window]'))
  button.addEventListener('click', () => setWindow(Number(button.dataset.window)));
at('filter').addEventListener('input', ({ target }) => {
  settings.filter = target.value.trim().toLowerCase();
});
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === 'INPUT') {
    if (event.key === 'Escape') event.target.blur();
    return;
  }
  if (event.key === 'p') pause();
  else if (event.key === '1') setWindow(1);
  else if (event.key === '5') setWindow(5);
  else if (event.key === '0') setWindow(15);
  else if (event.key === '/') {
    event.preventDefault();
    at('filter').focus();
  }
});
setWindow(1);

// ── a thread under the pointer, or in focus: what it holds and where it waits

let lit;
function light(target) {
  const thread = target?.closest?.('[data-thread]')?.dataset.thread;
  if (thread === lit) return;
  lit = thread;
  for (const element of document.querySelectorAll('.lit')) element.classList.remove('lit');
  if (thread === undefined || thread === '' || thread === 'undefined') return;
  for (const element of document.querySelectorAll(`[data-thread="${CSS.escape(thread)}"]`)) element.classList.add('lit');
}
document.addEventListener('pointerover', ({ target }) => light(target));
document.addEventListener('focusin', ({ target }) => light(target));

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const view of views.values()) view.forgetColours();
});
