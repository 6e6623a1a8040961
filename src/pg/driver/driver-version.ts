/** Which driver is installed. The package accepts any version, so that npm can install it for programs that do not use this part. */
import { createRequire } from 'node:module';

/** From this version on the driver is known to have what is used beyond its documentation. Of the next major version nothing is known. */
const MAJOR = 8;
const LEAST_MINOR = 16;

export const NEEDED = `pg ${MAJOR}.${LEAST_MINOR} or a later ${MAJOR}`;

/** Throws an Error that names the version found and those that will do. In a bundle there is none to find: any driver will do. */
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
