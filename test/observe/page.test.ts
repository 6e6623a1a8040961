/** The page in a browser: what it shows, in two widths and both themes, by keyboard, and within its policy. Says where no browser can run. */
import { serveDashboard } from 'cenote/observe';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { open } from '../support/pools.ts';
import { type Service, service } from '../support/service.ts';
import { thread } from '../support/thread.ts';
import { settled } from '../support/wait.ts';

const { launch } = (await import('../../scripts/picture/browser.js' as string)) as {
  launch(): Promise<{ browser?: import('playwright-core').Browser; why?: string }>;
};
const { browser, why } = await launch();
const here = browser === undefined ? describe.skip : describe;
if (browser === undefined) console.warn(`test/observe/page.test.ts is left out, as no browser runs here: ${why}`);
afterAll(() => browser?.close());

/** A page over these pools, and what went wrong in it. */
async function show(url: string, width = 1280, colorScheme: 'light' | 'dark' = 'light'): Promise<{ page: Page; wrong: string[] }> {
  const page = await browser!.newPage({ viewport: { width, height: 800 }, colorScheme, locale: 'en-US' });
  onTestFinished(() => page.close());
  page.setDefaultTimeout(60_000);
  const wrong: string[] = [];
  page.on('console', (message) => void (message.type() === 'error' && wrong.push(message.text())));
  page.on('pageerror', (error) => void wrong.push(String(error)));
  page.on('request', (request) => void (request.url().startsWith(url) || request.url().startsWith('data:') || wrong.push(request.url())));
  await page.goto(url);
  return { page, wrong };
}

here('the page', () => {
  beforeAll(() => {}, 120_000);

  test.each([
    [1280, 'light'],
    [400, 'dark'],
  ] as const)('at %d pixels, %s: shows the pool, and does not scroll sideways', async (width, theme) => {
    const pool = await open<Service>({ factory: service(), name: 'orders <b>', min: 2, max: 3 });
    const one = await thread(pool);
    await one.hold();
    const dashboard = await serveDashboard([pool], { title: 'Harbour & pools' });
    onTestFinished(() => dashboard.close());
    const { page, wrong } = await show(dashboard.url, width, theme);
    await page.getByText('1 of 3 used').waitFor();
    expect(await page.title()).toBe('Harbour & pools');
    expect(await page.locator('.name').textContent()).toBe('orders <b>');
    await page.locator('.square.leased').waitFor();
    expect(await page.locator('.square.leased').getAttribute('title')).toContain(`by thread ${one.id}`);
    expect(await page.locator('.chart canvas').count()).toBe(4);
    expect(await page.evaluate('document.documentElement.scrollWidth <= document.documentElement.clientWidth')).toBe(true);
    const background = await page.evaluate('getComputedStyle(document.body).backgroundColor');
    expect(background).toBe(theme === 'light' ? 'rgb(246, 247, 248)' : 'rgb(15, 20, 25)');
    expect(wrong).toEqual([]);
  });

  test('tells of a deadlock, and of the thread that is in it', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 1, max: 1 });
    const one = await thread(pool);
    const result = one.run(async ({ pool, attempt, flags }) => {
      const held = pool.acquireSync();
      // It sleeps until it was seen, however long the browser takes.
      while (Atomics.load(flags, 0) === 0) await attempt(() => pool.acquireSync({ timeout: 5000 }));
      pool.release(held);
    });
    const dashboard = await serveDashboard([pool]);
    onTestFinished(() => dashboard.close());
    const { page } = await show(dashboard.url);
    await page.getByText(`thread ${one.id} waits for itself`).waitFor();
    expect(await page.locator('.knot.certain strong').textContent()).toContain('DEADLOCK, certain');
    await page.getByText('deadlock: see above').waitFor();
    one.raise(0);
    await settled(result);
  });

  test('by keyboard: pause, window, filter, and a thousand rows', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 1, max: 1 });
    const held = await pool.acquire();
    const waiting = Array.from({ length: 1000 }, () => pool.acquire());
    const dashboard = await serveDashboard([pool]);
    onTestFinished(() => dashboard.close());
    const { page, wrong } = await show(dashboard.url);
    await page.getByText('1,000 waiting').first().waitFor();
    await page.getByText('Line (1000)').click();
    await page.getByText('and 800 more').waitFor();
    expect(await page.locator('details:has(> summary:text("Line (1000)")) tbody tr').count()).toBe(200);
    await page.keyboard.press('5');
    expect(await page.locator('[data-window="5"]').getAttribute('aria-pressed')).toBe('true');
    await page.keyboard.press('p');
    expect(await page.locator('#state').textContent()).toContain('paused');
    await page.keyboard.press('p');
    await page.keyboard.press('/');
    await page.keyboard.type('nothing of that name');
    await page.locator('.pool').waitFor({ state: 'hidden' });
    expect(wrong).toEqual([]);
    pool.release(held);
    for (const each of waiting) pool.release(await each);
  });

  test('shows jobs under way first, no more of them than can be read, and figures beside each plot', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 1, max: 4 });
    const jobs = [
      { job: 7, name: 'import', done: 1, total: 4, message: 'prices' },
      ...Array.from({ length: 40 }, (_, n) => ({ job: 100 + n, done: 3, total: 3 })),
      { job: 6, done: 12 },
    ];
    const runner = {
      stats: () => ({ running: 2, killedThreads: 0 }),
      on: (_: string, listener: (progress: (typeof jobs)[number]) => void) => jobs.forEach((job) => void listener(job)),
    };
    const dashboard = await serveDashboard([pool], { runner });
    onTestFinished(() => dashboard.close());
    const { page, wrong } = await show(dashboard.url, 400);
    await page.getByText('running 2 · killed threads 0').waitFor();
    await page.getByText('and 22 more').waitFor();
    const rows = await page.locator('#jobs div p').allTextContents();
    expect(rows).toHaveLength(20);
    expect(rows.slice(0, 3)).toEqual(['job 6: 12', 'import: 1 of 4 · prices', 'job 139: 3 of 3']);
    const legend = page.locator('.chart').first().locator('.u-series');
    expect((await legend.allTextContents()).slice(1)).toEqual(['idle1', 'being made0', 'used0', 'max4']);
    expect(await page.evaluate('document.documentElement.scrollWidth <= document.documentElement.clientWidth')).toBe(true);
    expect(wrong).toEqual([]);
  });

  test('asks for the token once, and says when the server is gone', async () => {
    const pool = await open<Service>({ factory: service(), name: 'p', min: 1 });
    const dashboard = await serveDashboard([pool], { token: 'sesame' });
    const { page } = await show(`${dashboard.url}/?token=sesame`);
    await page.getByText('0 of 10 used').waitFor();
    expect(page.url()).toBe(`${dashboard.url}/`);
    await dashboard.close();
    await page.getByText('no answer').waitFor();
  });
});
