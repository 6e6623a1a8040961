// A browser that comes as a package, for the picture of the page and for its test. Where it cannot run, why.
import chromium from '@sparticuz/chromium';
import { chromium as playwright } from 'playwright-core';

/** Arguments of the package that do not suit: one process, which the first closed page would end, and a web without its rules. */
const UNSUITABLE = /^--(single-process|no-zygote|disable-web-security|allow-running-insecure-content|disable-site-isolation-trials)$/;

/** `{ browser }`, or `{ why }` it is not to be had here. CHROMIUM may name another. */
export async function launch() {
  try {
    const executablePath = process.env.CHROMIUM ?? (await chromium.executablePath());
    const args = chromium.args.filter((each) => !UNSUITABLE.test(each));
    return { browser: await playwright.launch({ executablePath, args, timeout: 60_000 }) };
  } catch (error) {
    return { why: error instanceof Error ? error.message.split('\n')[0] : String(error) };
  }
}
