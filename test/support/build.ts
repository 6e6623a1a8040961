import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The tests run against what is shipped: dist/ is built once before them. */
export default function build(): void {
  execFileSync(process.execPath, [fileURLToPath(new URL('../../scripts/build.js', import.meta.url))], { stdio: 'inherit' });
}
