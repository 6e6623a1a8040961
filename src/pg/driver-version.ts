/** Which driver is beside us. Any may be installed, or npm would refuse to install the package for those who do not use this part of it. */
import { createRequire } from 'node:module';

/** What is used of the driver beyond its documentation is known to be there from this version on, and nothing is known of the next major one. */
const MAJOR = 8;
const LEAST_MINOR = 16;

export const NEEDED = `pg ${MAJOR}.${LEAST_MINOR} or a later ${MAJOR}`;

/** Throws an Error that names the version found and those that will do. In a bundle there is none to be found, and it is taken as it is. */
export function assertDriverVersion(): void {
  const version = foundVersion();
  if (version === undefined) return;
  const [major, minor] = version.split('.').map(Number);
  if (major === MAJOR && minor >= LEAST_MINOR) return;
  throw new Error(`cenote/pg needs ${NEEDED}, and found pg ${version}: npm install pg@${MAJOR}`);
}

function foundVersion(): string | undefined {
  try {
    const { version } = createRequire(import.meta.url)('pg/package.json') as { version: unknown };
    return typeof version === 'string' ? version : undefined;
  } catch {
    return undefined;
  }
}
