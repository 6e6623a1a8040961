/** One pool on the page. */
import { charts } from './charts.js';
import { diagnose } from './diagnosis.js';
import { duration, fill, h, number, setClass, setText, table } from './dom.js';
import { columns, History } from './history.js';

/** More slots than these are shown as a bar for each thread. */
const MOST_SQUARES = 200;
/** A hold of so many ms is marked. */
const LONG_HOLD = 10_000;

const GLYPHS = { empty: '', making: '+', idle: '·', granted: '', leased: '', returned: '↩', checking: '?' };

const hueOf = (threadId) => String((threadId * 137 + 200) % 360);

export class PoolView {
  #history = new History();
  #parts;
  #charts = charts();
  #tables = {
    holders: table('Holders', ['Thread', 'Slot', 'State', 'Held for', 'Uses', 'Age']),
    line: table('Line', ['Thread', '#', 'Waited', 'Asleep']),
    threads: table('Threads', ['Thread', 'Holds', 'Waits', 'State']),
  };
  #isTouched = false;
  /** How bad it was at each of the last looks. */
  #levels = [];

  constructor(name) {
    this.name = name;
    const part = (tag, className) => h(tag, { className });
    this.#parts = {
      name: h('span', { className: 'name', textContent: name }),
      badge: part('span', 'badge'),
      bar: h('span', { className: 'bar' }, part('i', 'used'), part('i', 'making'), part('i', 'idle')),
      used: part('span', 'figure'),
      waiting: part('span', 'figure'),
      diagnosis: part('p', 'diagnosis'),
      squares: part('div', 'squares'),
      facts: part('p', 'more'),
    };
    const { badge, bar, used, waiting, diagnosis, squares, facts } = this.#parts;
    const { holders, line, threads } = this.#tables;
    const summary = h('summary', {}, this.#parts.name, badge, bar, used, waiting);
    const body = h(
      'div',
      { className: 'body' },
      squares,
      this.#charts.element,
      facts,
      h('div', { className: 'tables' }, holders.element, line.element, threads.element),
    );
    this.element = h('details', { className: 'pool' }, summary, diagnosis, body);
    summary.addEventListener('click', () => {
      this.#isTouched = true;
    });
  }

  /** `rows`: what the inspection says of this pool. */
  update(at, figures, rows, { minutes, filter, isAlone }) {
    const oldest = rows.line.reduce((most, { waitedFor }) => Math.max(most, waitedFor), 0);
    this.#history.add(at, figures, oldest);
    const { level, text } = diagnose(figures, rows, this.#history, minutes);
    this.#levels = [...this.#levels.slice(-9), level];
    this.#updateSummary(figures, level, text);
    // It opens by itself, but closes only by hand: what one reads must not go away.
    if (!this.#isTouched && (level === 2 || isAlone)) this.element.open = true;
    if (!this.element.open) return;
    this.#updateSquares(rows);
    this.#updateTables(rows, filter);
    this.#charts.update(columns(this.#history.within(minutes)));
    const { created, destroyed, reclaimed, acquired, timedOut, rejected, factoryFailures } = figures;
    const wait = ['0.5', '0.99'].map((share) => duration(this.#history.percentile('wait', Number(share), minutes)) || '–');
    setText(
      this.#parts.facts,
      `wait p50 ${wait[0]}, p99 ${wait[1]} in ${minutes} min · since the start: ${number(acquired)} hand-outs, ${number(timedOut)} timeouts, ${number(rejected)} refusals, ` +
        `${number(created)} made, ${number(destroyed)} destroyed, ${number(factoryFailures)} factory failures, ${number(reclaimed)} reclaimed`,
    );
  }

  #updateSummary(figures, level, text) {
    const { badge, bar, used, waiting, diagnosis } = this.#parts;
    const { state, closed, max } = figures;
    setClass(this.element, `pool${closed ? ' closed' : level === 2 ? ' trouble' : ''}`);
    setText(badge, closed ? 'closed' : figures.suspended === true ? 'suspended' : state);
    setClass(
      badge,
      `badge${state === 'inactive' ? ' bad' : state === 'recovering' || figures.suspended === true || closed ? ' warn' : ''}`,
    );
    for (const [index, name] of ['used', 'making', 'idle'].entries())
      bar.children[index].style.setProperty('width', `${(100 * figures[name]) / Math.max(max, figures.count, 1)}%`);
    setText(used, `${number(figures.used)} of ${number(max)} used`);
    setText(waiting, `${number(figures.waiting)} waiting`);
    setText(diagnosis, text);
  }

  #updateSquares({ slots, threads }) {
    if (slots.length > MOST_SQUARES) return this.#updateBars(slots.length, threads);
    fill(
      this.#parts.squares,
      slots,
      () => h('button', { type: 'button' }),
      (square, { slot, state, threadId, heldFor, uses }) => {
        setClass(square, `square ${state}${heldFor >= LONG_HOLD ? ' long' : ''}`);
        setText(square, threadId === undefined ? GLYPHS[state] : String(threadId));
        const thread = String(threadId ?? '');
        if (square.dataset.thread !== thread) {
          square.dataset.thread = thread;
          square.style.setProperty('--hue', hueOf(threadId ?? 0));
        }
        const by = threadId === undefined ? '' : ` by thread ${threadId}`;
        const label = `slot ${slot}: ${state}${by}${heldFor === undefined ? '' : `, for ${duration(heldFor)}`}, ${uses} uses`;
        if (square.title !== label) {
          square.title = label;
          square.ariaLabel = label;
        }
      },
    );
  }

  #updateBars(count, threads) {
    const holding = threads.filter(({ holds }) => holds.length > 0).toSorted((a, b) => b.holds.length - a.holds.length);
    fill(
      this.#parts.squares,
      holding.slice(0, MOST_SQUARES),
      () => h('button', { type: 'button' }),
      (bar, { threadId, holds }) => {
        setClass(bar, 'square leased');
        bar.dataset.thread = String(threadId);
        bar.style.setProperty('--hue', hueOf(threadId));
        bar.style.setProperty('width', `${Math.max(60, Math.round((600 * holds.length) / count))}px`);
        setText(bar, `${threadId}: ${holds.length}`);
        bar.ariaLabel = bar.title = `thread ${threadId} holds ${holds.length} of ${count}`;
      },
    );
  }

  #updateTables({ slots, line, threads }, filter) {
    const matches = ({ threadId }) => filter === '' || this.name.toLowerCase().includes(filter) || String(threadId ?? '').includes(filter);
    this.#tables.holders.update(
      slots
        .filter((slot) => slot.state !== 'idle' && slot.state !== 'empty' && matches(slot))
        .toSorted((a, b) => (b.heldFor ?? 0) - (a.heldFor ?? 0))
        .map(({ slot, state, threadId, heldFor, uses, age }) => ({
          thread: threadId,
          cells: [threadId === undefined ? '–' : `${threadId}`, `${slot}`, state, duration(heldFor), number(uses), duration(age)],
        })),
    );
    this.#tables.line.update(
      line
        .map((waiter, index) => ({ ...waiter, place: index + 1 }))
        .filter(matches)
        .map(({ threadId, place, waitedFor, sync }) => ({
          thread: threadId,
          cells: [`${threadId}`, `${place}`, duration(waitedFor), sync ? 'yes' : 'no'],
        })),
    );
    this.#tables.threads.update(
      threads.filter(matches).map(({ threadId, holds, waits, alive, owner }) => ({
        thread: threadId,
        cells: [`${threadId}`, `${holds.length}`, `${waits}`, `${alive ? 'alive' : 'gone'}${owner ? ', owner' : ''}`],
      })),
    );
  }

  /** The worst of the last ten seconds: places do not change with every look. */
  get level() {
    return Math.max(0, ...this.#levels);
  }

  forgetColours() {
    this.#charts.forget();
  }
}
