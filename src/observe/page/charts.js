/** The plots of one pool, by uPlot. Lines differ in their dashes, too, not in colour alone. */
import uPlot from 'uplot';
import { duration, h, number } from './dom.js';

const HEIGHT = 130;

/** Marks on an axis of numbers: there are no two and a half resources. */
const WHOLE = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString('en-GB');

/** title, columns by name; `stack`: drawn as areas one upon the other, the first at the bottom. */
const CHARTS = [
  {
    title: 'Resources',
    show: number,
    stack: [
      ['used', 'used', 'used'],
      ['making', 'being made', 'making'],
      ['idle', 'idle', 'idle'],
    ],
    lines: [['max', 'max', 'ink', [6, 4]]],
  },
  {
    title: 'Waiting, and age of the oldest in s',
    show: number,
    lines: [
      ['waiting', 'waiting', 'used'],
      ['oldest', 'oldest, s', 'bad', [2, 3]],
    ],
  },
  {
    title: 'In a second',
    show: number,
    lines: [
      ['acquired', 'hand-outs', 'used'],
      ['timedOut', 'timeouts', 'bad', [6, 3]],
      ['failures', 'factory failures', 'making', [2, 3]],
    ],
  },
  {
    title: 'Wait and hold, last 10 s at each point',
    show: duration,
    lines: [
      ['waitP50', 'wait p50', 'used'],
      ['waitP99', 'wait p99', 'used', [6, 3]],
      ['holdP50', 'hold p50', 'good'],
      ['holdP99', 'hold p99', 'good', [6, 3]],
    ],
  },
];

class Chart {
  #plot;
  #element = h('div', { className: 'chart' });
  #spec;

  constructor(spec) {
    this.#spec = spec;
    this.#element.append(h('h3', { textContent: spec.title }));
    new ResizeObserver(() => this.#fit()).observe(this.#element);
  }

  get element() {
    return this.#element;
  }

  #fit() {
    const width = this.#element.clientWidth;
    if (this.#plot !== undefined && width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT });
  }

  #series() {
    const { stack = [], lines, show } = this.#spec;
    // Under the pointer, or else the latest.
    const raw = (name) => (_plot, _value, _series, index) => show(this.columns?.[name].at(index ?? -1)) || '–';
    return [
      {},
      // The uppermost area first: the others are drawn over it.
      ...stack
        .toReversed()
        .map(([name, label, of]) => ({ label, value: raw(name), fill: colour(of), stroke: colour(of), width: 1, points: { show: false } })),
      ...lines.map(([name, label, of, dash]) => ({
        label,
        value: raw(name),
        stroke: colour(of),
        width: 1.5,
        dash,
        spanGaps: true,
        points: { show: false },
      })),
    ];
  }

  #data(columns) {
    const { stack = [], lines } = this.#spec;
    const sums = [];
    for (const [index, [name]] of stack.entries())
      sums.push(columns[name].map((value, at) => value + (index === 0 ? 0 : sums[index - 1][at])));
    return [columns.time, ...sums.toReversed(), ...lines.map(([name]) => columns[name])];
  }

  update(columns) {
    this.columns = columns;
    const data = this.#data(columns);
    if (this.#plot !== undefined) return this.#plot.setData(data);
    const width = this.#element.clientWidth;
    if (width === 0) return;
    const axis = {
      stroke: colour('soft'),
      grid: { stroke: colour('line'), width: 1 },
      ticks: { stroke: colour('line') },
      font: '11px system-ui, sans-serif',
    };
    this.#plot = new uPlot(
      {
        width,
        height: HEIGHT,
        series: this.#series(),
        axes: [
          { ...axis, size: 32, space: 90, values: (_plot, times) => times.map(clock) },
          {
            ...axis,
            size: 56,
            ...(this.#spec.show === number ? { incrs: WHOLE } : {}),
            values: (_plot, values) => values.map((value) => this.#spec.show(value)),
          },
        ],
        scales: { y: { range: (_plot, _least, most) => [0, most > 0 ? most * 1.1 : 1] } },
        legend: { markers: { width: 2, dash: (plot, series) => (plot.series[series].dash === undefined ? 'solid' : 'dashed') } },
        cursor: { sync: { key: 'cenote' }, drag: { x: false, y: false } },
      },
      data,
      this.#element,
    );
  }

  /** Colours have changed: it is drawn anew with the next look. */
  forget() {
    this.#plot?.destroy();
    this.#plot = undefined;
  }
}

export function charts() {
  const all = CHARTS.map((spec) => new Chart(spec));
  return {
    element: h('div', { className: 'charts' }, ...all.map(({ element }) => element)),
    update(columns) {
      for (const chart of all) chart.update(columns);
    },
    forget() {
      for (const chart of all) chart.forget();
    },
  };
}
