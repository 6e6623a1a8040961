/** The rivals are honest: each lends every slot to one thread at a time, and to all who ask. */
import { describe, expect, test } from 'vitest';
import { joinMutex, openMutex } from '../../src/cli/contestants/mutex.ts';
import type { Mode, Setting } from '../../src/cli/measure/setting.ts';

const setting = (slots: number, mode: Mode = 'sync'): Setting => ({ mode, threads: 2, slots, hold: 0, distribution: 'fixed' });

describe('mutex', () => {
  test.each([1, 2, 31, 32])('of %i slots lends each of them once, and again what comes back', (slots) => {
    const { data } = openMutex(setting(slots)).invite(0);
    const { acquire, release } = joinMutex(data as Int32Array, setting(slots, 'async'));
    const all = Array.from({ length: slots }, () => acquire());
    expect(all).toEqual(Array.from({ length: slots }, (_, slot) => slot));
    release(slots - 1);
    expect(acquire()).toBe(slots - 1);
  });

  test('wakes one who awaits', async () => {
    const { data } = openMutex(setting(1, 'async')).invite(0);
    const [one, other] = [0, 1].map(() => joinMutex(data as Int32Array, setting(1, 'async')));
    expect(one.acquire()).toBe(0);
    const later = other.acquire();
    expect(later).toBeInstanceOf(Promise);
    one.release(0);
    expect(await later).toBe(0);
  });
});
