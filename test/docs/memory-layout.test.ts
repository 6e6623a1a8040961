/** docs/memory-layout.md says what layout.ts says. */
import { createPool } from 'cenote';
import { describe, expect, test } from 'vitest';
import * as layout from '../../dist/shared/layout.js';
import { page, plain, tableOf } from './markdown.ts';

const doc = page('docs/memory-layout.md');
const words = layout as unknown as Record<string, number>;

describe('memory-layout.md', () => {
  test.each(['Header', 'Words that all threads contend for', 'A slot', 'A thread'])('has the offsets of: %s', (heading) => {
    const rows = tableOf(doc, heading);
    expect(Object.fromEntries(rows.map((row) => [plain(row.name), Number(row.word)]))).toEqual(
      Object.fromEntries(rows.map((row) => [plain(row.name), words[plain(row.name)]])),
    );
  });

  test('leaves no word out', () => {
    const named = ['Header', 'Words that all threads contend for', 'A slot', 'A thread'].flatMap((heading) =>
      tableOf(doc, heading).map((row) => plain(row.name)),
    );
    const all = Object.keys(layout).filter((name) => /_WORD$|^(SLOT|THREAD)_|^LEFT_COUNTERS$/.test(name) && !name.endsWith('_STRIDE'));
    expect(named.sort()).toEqual(all.sort());
  });

  test('has the counters of a thread in their order', () => {
    const counters = /in order: (.*?)\./s.exec(doc.text)![1].split(/,\s+/);
    const names = counters.map((counter) => `COUNTER_${counter.toUpperCase().replaceAll(/\s+/g, '_')}`);
    expect(names.map((name) => words[name])).toEqual(Array.from({ length: layout.COUNTERS }, (_, index) => index));
  });

  test('has the limits', () => {
    for (const row of tableOf(doc, 'Limits of the fields'))
      expect([row.limit, Number(row.value)]).toEqual([row.limit, words[plain(row.limit)]]);
  });

  test('works the example out right, and a real pool has that size', async () => {
    const pool = await createPool({ factory: () => 1, max: 10 });
    const { buffer } = pool.handle;
    await pool.close();
    const header = new Int32Array(buffer, 0, layout.PAD);
    const of = layout.layoutOf(header[layout.SLOTS_WORD], header[layout.THREADS_WORD], header[layout.CELLS_WORD]);
    expect(of.bytes).toBe(buffer.byteLength);

    const end = buffer.byteLength / layout.WORD_BYTES;
    const starts: Record<string, number> = { header: 0 };
    for (const part of [
      'slots',
      'threads',
      'cells',
      'tickets',
      'marks',
      'joined',
      'tags',
      'waitTimes',
      'holdTimes',
      'createTimes',
    ] as const)
      starts[part] = of[part];
    starts.padding = of.createTimes + layout.HISTOGRAM_BUCKETS;
    starts.end = end;
    const parts = Object.keys(starts);
    expect(tableOf(doc, 'Worked example')).toEqual(
      parts.map((part, index) => ({
        part,
        'first word': String(starts[part]),
        words: String((starts[parts[index + 1]] ?? end) - starts[part]),
        'first byte': String(starts[part] * layout.WORD_BYTES),
      })),
    );
    expect(doc.text).toContain(`${buffer.byteLength.toLocaleString('en-US')} bytes in all`);
    expect(doc.text.replaceAll(/\s+/g, ' ')).toContain(`1024 + 65 + 10 = ${of.cellCount} cells`);
    expect(of.slots + of.slotCount * layout.SLOT_STRIDE).toBe(of.threads);
    expect(of.threads + of.threadCount * layout.THREAD_STRIDE).toBe(of.cells);
  });

  test('says right how many cells the largest block has', async () => {
    const pool = await createPool({ factory: () => 1, max: 1023, maxThreads: 1022, maxWaiting: 63_489 });
    expect(new Int32Array(pool.handle.buffer, 0, layout.PAD)[layout.CELLS_WORD]).toBe(65_535);
    await pool.close();
    await expect(createPool({ factory: () => 1, maxWaiting: 63_490 })).rejects.toThrow('from 0 to 63489');
  });
});
