/**
 * The page that --html writes: one file without scripts, which loads nothing. The plots are SVG made here, and not by a library that draws
 * on a canvas: so they follow the reader's light or dark, can be read aloud, printed and magnified, and their lines carry labels.
 */

import type { Contestant, Setting } from '../measure/setting.ts';
import type { Result } from '../measure/summary.ts';
import { sayMachine } from './machine.ts';
import { escaped, linePlot, mark, PLOT, type Series, stripPlot } from './plot.ts';
import type { Report } from './report.ts';
import { doublings, linear, logarithmic } from './scale.ts';
import { held, lead, ofShares, ofThroughput, ofWaits } from './sentences.ts';
import { STYLE } from './style.ts';
import { COLUMNS } from './table.ts';
import { counted, duration, exactDuration, percent, short } from './units.ts';

const LEGEND: Readonly<Record<Contestant, string>> = {
  cenote: 'cenote: one line for all threads',
  mutex: 'mutex: a semaphore that anybody may grab first',
  messages: 'messages: permits from the main thread',
  piscina: 'piscina: a thread for each slot gets tasks',
};

/** `report` has at least one result. */
export function page(report: Report): string {
  const panels = panelsOf(report.results);
  const contestants = [...new Set(report.results.map(({ contestant }) => contestant))];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>cenote bench: who gets it, how soon, and how often</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Who gets it, how soon, and how often</h1>
<p class="machine">cenote ${escaped(versions(report))} · ${escaped(sayMachine(report.machine))} · ${escaped(report.started.slice(0, 16).replace('T', ' '))} UTC</p>
<p class="lead">${escaped(lead(report))}</p>
${[...(report.interrupted ? ['The run was interrupted: what is here is what there was by then.'] : []), ...report.notes].map((note) => `<p class="note">${escaped(capital(note))}.</p>`).join('\n')}
<ul class="legend">${contestants.map((name) => `<li><svg viewBox="0 0 30 16" aria-hidden="true"><g class="series ${name}"><polyline points="0,8 30,8"/>${mark(name, 15, 8)}</g></svg>${LEGEND[name]}</li>`).join('')}</ul>

<h2>Throughput against threads</h2>
<p>${escaped(ofThroughput(report))}</p>
<div class="plots">${throughput(panels, report.results)}</div>

<h2>Waiting against load</h2>
<p>${escaped(ofWaits(report))}</p>
<div class="plots">${waits(panels, report.results)}</div>
${shares(panels, report)}
<h2>All figures</h2>
<div class="scroll"><table>
<thead><tr>${COLUMNS.map(({ head, left }) => `<th${left ? ' class="left"' : ''}>${escaped(head)}</th>`).join('')}</tr></thead>
<tbody>
${rows(report.results)}
</tbody>
</table></div>

<h2>How this was measured</h2>
<ul class="how">
<li>Every thread goes round in a loop: ask, wait, hold, give back. Whoever holds a slot spins on the clock. Each contestant had ${counted(report.options.seconds, 'second')} in each setting, divided into ${counted(report.options.rounds, 'round')} in which the contestants took turns, after a short one that does not count.</li>
<li>Operations per second are the median of the rounds; “to cenote” is the median of the ratios within a round. Percentiles and the longest wait are over all rounds; a wait is from asking to having, on the clock of the thread.</li>
<li>CPU/op is the CPU time of the whole process for one operation: holding, waking, and whoever serves. </li>
<li>Overtaken: right before it asks each thread draws a ticket, and right after it was served it counts how many have been served: more than had asked before it, and somebody was served out of turn. Whoever got a slot in time and was only slow to wake is not counted: somebody must have got one while at least as many older ones as there are slots were without. All this is seen from outside. A thread that the system puts aside between its ticket and the line looks overtaken though it was not, so a strict line may not read exactly 0.</li>
<li>A witness in shared memory watches every slot. ${clashes(report.results)}</li>
<li>mutex and cenote serve the threads that ask; messages goes through the main thread; with piscina the operation itself travels, and each “thread” is a caller on the main thread with one task under way.</li>
</ul>
</body>
</html>
`;
}

interface Panel {
  readonly setting: Setting;
  readonly caption: string;
  /** By number of threads, ascending. */
  readonly results: readonly Result[];
}

/** A panel for each mode, number of slots, and hold. */
function panelsOf(results: readonly Result[]): Panel[] {
  const panels = new Map<string, Result[]>();
  for (const result of results.toSorted(
    (a, b) => a.threads - b.threads || b.mode.localeCompare(a.mode) || a.slots - b.slots || a.hold - b.hold,
  )) {
    const key = `${result.mode} ${result.slots} ${result.hold}`;
    if (!panels.has(key)) panels.set(key, []);
    panels.get(key)!.push(result);
  }
  return [...panels.values()].map((each) => ({
    setting: each[0],
    caption: `<b>${counted(each[0].slots, 'slot')} ${held(each[0])}</b>, ${each[0].mode}`,
    results: each,
  }));
}

const withHold = (all: readonly Result[], { setting }: Panel): readonly Result[] => all.filter(({ hold }) => hold === setting.hold);

const figure = ({ caption }: Panel, plot: string): string => `<figure><figcaption>${caption}</figcaption>${plot}</figure>\n`;
const plain = ({ caption }: Panel): string => caption.replaceAll(/<\/?b>/g, '');

function seriesOf(results: readonly Result[], make: (contestant: Contestant, of: readonly Result[]) => readonly Series[]): Series[] {
  const contestants = [...new Set(results.map(({ contestant }) => contestant))];
  return contestants.flatMap((name) =>
    make(
      name,
      results.filter(({ contestant }) => contestant === name),
    ),
  );
}

/** Panels with the same hold have the same scale, so that they can be compared. */
function throughput(panels: readonly Panel[], all: readonly Result[]): string {
  return panels
    .map((panel) => {
      const rates = withHold(all, panel).map(({ operationsPerSecond }) => operationsPerSecond || 1);
      const y = logarithmic(Math.min(...rates), Math.max(...rates), PLOT.bottom, PLOT.top);
      const x = doublings(
        panel.results.map(({ threads }) => threads),
        PLOT.left + 14,
        PLOT.right - 8,
      );
      const series = seriesOf(panel.results, (contestant, results) => [
        {
          contestant,
          label: contestant,
          points: results
            .filter(({ operationsPerSecond }) => operationsPerSecond > 0)
            .map(({ threads, operationsPerSecond }) => ({
              x: threads,
              y: operationsPerSecond,
              says: `${counted(threads, 'thread')}: ${short(operationsPerSecond)} operations a second`,
            })),
        },
      ]);
      const plot = linePlot(
        plain(panel),
        series,
        x,
        y,
        { label: 'threads', tick: String },
        { label: 'operations per second', tick: compact },
      );
      return figure(panel, plot);
    })
    .join('');
}

/** Where the logarithmic scale begins, in microseconds: a shorter time is no wait. */
const NO_WAIT = 0.05;

function waits(panels: readonly Panel[], all: readonly Result[]): string {
  const load = ({ threads, slots }: Result): number => threads / slots;
  return panels
    .map((panel) => {
      const values = withHold(all, panel).flatMap(({ wait }) => [wait.p50, wait.p99]);
      const y = logarithmic(Math.max(NO_WAIT, Math.min(...values)), Math.max(...values, 1), PLOT.bottom, PLOT.top);
      const x = doublings(panel.results.map(load), PLOT.left + 14, PLOT.right - 8);
      const series = seriesOf(panel.results, (contestant, results) =>
        (['p99', 'p50'] as const).map((which) => ({
          contestant,
          label: `${contestant} ${which}`,
          dashed: which === 'p99',
          points: results.map((result) => ({
            x: load(result),
            y: result.wait[which],
            says: `${short(load(result))} threads for each slot: ${which} ${duration(result.wait[which], 'µs')}, at most ${duration(result.wait.max, 'µs')}`,
          })),
        })),
      );
      const tick = (value: number): string => String(Number(value.toPrecision(2)));
      const plot = linePlot(
        plain(panel),
        series,
        x,
        y,
        { label: 'load: threads for each slot', tick },
        { label: 'wait', tick: (value) => exactDuration(Number(value.toPrecision(1)), 'µs') },
      );
      return figure(panel, plot);
    })
    .join('');
}

function shares(panels: readonly Panel[], report: Report): string {
  // Shares are shown for the setting of each panel with the most threads.
  const crowded = panels.flatMap((panel) => {
    const most = Math.max(...panel.results.map(({ threads }) => threads));
    const results = panel.results.filter(({ threads, shares }) => threads === most && shares.length > 0);
    return most > 1 && results.length > 0 ? [{ ...panel, caption: `${panel.caption}, ${counted(most, 'thread')}`, results }] : [];
  });
  if (crowded.length === 0) return '';
  const relative = ({ shares, threads }: Result): number[] => shares.map((share) => share * threads);
  const most = Math.max(...crowded.flatMap(({ results }) => results.flatMap(relative)));
  const x = linear(Math.max(2, most), PLOT.left + 8, PLOT.right - 8);
  const figures = crowded.map((panel) => {
    const strips = panel.results.map((result) => ({
      contestant: result.contestant,
      says: result.mostOverLeast === null ? 'one starved' : `${short(result.mostOverLeast)} to 1`,
      points: relative(result).map((value, rank) => ({
        x: value,
        y: 0,
        says: `thread ${rank + 1}: ${short(value)} of an equal share, ${percent(result.shares[rank])} of all`,
      })),
    }));
    return figure(panel, stripPlot(plain(panel), strips, x, { label: 'operations of a thread, over an equal share', tick: String }, 1));
  });
  return `
<h2>Share of each thread</h2>
<p>${escaped(ofShares(report))}</p>
<div class="plots">${figures.join('')}</div>
`;
}

function rows(results: readonly Result[]): string {
  let last = '';
  return results
    .map((result) => {
      const setting = COLUMNS.filter(({ ofSetting }) => ofSetting)
        .map(({ cell }) => cell(result))
        .join();
      const first = setting !== last;
      last = setting;
      const cells = COLUMNS.map(({ head, cell, left }) => {
        const names = [...(left ? ['left'] : []), ...(head === 'contestant' ? ['contestant', result.contestant] : [])];
        return `<td${names.length > 0 ? ` class="${names.join(' ')}"` : ''}>${escaped(cell(result))}</td>`;
      });
      return `<tr${first ? ' class="first"' : ''}>${cells.join('')}</tr>`;
    })
    .join('\n');
}

const versions = ({ cenote, piscina }: Report): string => (piscina === null ? cenote : `${cenote}, piscina ${piscina}`);
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1).replace(/\.$/, '');

/** 20k, 1M */
function compact(value: number): string {
  if (value >= 1e6) return `${value / 1e6}M`;
  return value >= 1000 ? `${value / 1000}k` : String(value);
}

function clashes(results: readonly Result[]): string {
  const guilty = results.filter(({ clashes }) => clashes > 0);
  if (guilty.length === 0) return 'No slot had two borrowers at once, with any contestant.';
  return `It has caught two borrowers in one slot at once: ${[...new Set(guilty.map(({ contestant }) => contestant))].join(', ')}. The figures of whoever does that mean nothing.`;
}
