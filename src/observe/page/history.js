/** What the page remembers of a pool: its figures of the last 15 minutes, and what came of the counters in each window. */

const KEPT = 15 * 60 + 60;

/** In ms; as in the snapshot's description. */
const startOf = (bucket) => (bucket < 8 ? bucket : (8 + (bucket % 8)) * 2 ** (Math.floor(bucket / 8) - 1));
const middleOf = (bucket) => (startOf(bucket) + startOf(bucket + 1) - 1) / 2 / 1000;

/** The percentile of what has come between two looks at a histogram; null: nothing has. */
export function percentile(now, before, share) {
  const earlier = new Map(before);
  const counts = now.map(([bucket, count]) => [bucket, count - (earlier.get(bucket) ?? 0)]).filter(([, count]) => count > 0);
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  if (total === 0) return null;
  let left = Math.ceil(total * share);
  for (const [bucket, count] of counts) {
    left -= count;
    if (left <= 0) return middleOf(bucket);
  }
  return null;
}

export class History {
  #looks = [];

  add(at, figures, oldest) {
    this.#looks.push({ at, figures, oldest });
    if (this.#looks.length > KEPT) this.#looks.shift();
  }

  get last() {
    return this.#looks.at(-1);
  }

  /** The looks of the last so many minutes. */
  within(minutes) {
    const from = this.last.at - minutes * 60_000;
    return this.#looks.slice(this.#looks.findIndex(({ at }) => at >= from));
  }

  /** How much a counter has grown in the last so many minutes. */
  grown(counter, minutes) {
    const looks = this.within(minutes);
    return this.last.figures[counter] - looks[0].figures[counter];
  }

  /** In a second, over the last few. */
  rate(counter) {
    const from = this.#looks.at(-6) ?? this.#looks[0];
    const seconds = (this.last.at - from.at) / 1000;
    return seconds > 0 ? (this.last.figures[counter] - from.figures[counter]) / seconds : 0;
  }

  percentile(of, share, minutes) {
    return percentile(this.last.figures.buckets[of], this.within(minutes)[0].figures.buckets[of], share);
  }
}

/** What the charts draw: columns over time. Percentiles are those of the ten seconds before each point. */
export function columns(looks) {
  const per = (counter) =>
    looks.map(({ at, figures }, index) => {
      const before = looks[index - 1];
      return before === undefined ? null : (figures[counter] - before.figures[counter]) / Math.max(0.001, (at - before.at) / 1000);
    });
  const over = (of, share) =>
    looks.map(({ figures }, index) => percentile(figures.buckets[of], looks[Math.max(0, index - 10)].figures.buckets[of], share));
  return {
    time: looks.map(({ at }) => at / 1000),
    used: looks.map(({ figures }) => figures.used),
    making: looks.map(({ figures }) => figures.making),
    idle: looks.map(({ figures }) => figures.idle),
    max: looks.map(({ figures }) => figures.max),
    waiting: looks.map(({ figures }) => figures.waiting),
    oldest: looks.map(({ oldest }) => oldest / 1000),
    acquired: per('acquired'),
    timedOut: per('timedOut'),
    failures: per('factoryFailures'),
    waitP50: over('wait', 0.5),
    waitP99: over('wait', 0.99),
    holdP50: over('hold', 0.5),
    holdP99: over('hold', 0.99),
  };
}
