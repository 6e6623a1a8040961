// `npm run picture [-- folder] [--all]`: the page over a scene, as docs/dashboard-light.png and -dark.png; with --all in four sizes and
// themes.
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { launch } from './browser.js';
import { startScene } from './scene.js';

const all = process.argv.includes('--all');
const folder = process.argv.slice(2).find((each) => !each.startsWith('--')) ?? fileURLToPath(new URL('../../docs', import.meta.url));
const { browser, why } = await launch();
if (browser === undefined) {
  console.error(`no browser here: ${why}`);
  process.exit(1);
}
const scene = await startScene();
const pages = [];
for (const theme of ['light', 'dark'])
  for (const width of all ? [1280, 400] : [1280]) {
    const page = await browser.newPage({ viewport: { width, height: all ? 900 : 800 }, colorScheme: theme, locale: 'en-US' });
    page.on('console', (message) => console.error(`${theme} ${width}: ${message.text()}`));
    page.on('pageerror', (error) => console.error(`${theme} ${width}: ${error.stack}`));
    await page.goto(scene.url);
    pages.push({ page, name: `dashboard-${theme}${all ? `-${width}` : ''}.png` });
  }
await sleep(all ? 15_000 : 45_000);
for (const { page, name } of pages) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  if (wide) console.error(`${name}: it scrolls sideways`);
  await page.screenshot({ path: `${folder}/${name}`, fullPage: all });
  console.log(`${folder}/${name}`);
}
await browser.close();
await scene.end();
