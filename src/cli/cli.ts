#!/usr/bin/env node
/** The command `cenote`. */
import { bench } from './bench.ts';
import { UsageError } from './options.ts';
import { VERSION } from './report/machine.ts';
import { top } from './top.ts';

const HELP = `cenote ${VERSION}: one resource pool for every thread of a Node.js process

usage: cenote <command>

  bench        a contention benchmark, on this machine: cenote bench --help
  top          the dashboard of a running program, in this terminal: cenote top --help
  --version    the version
  --help       this text

example: cenote bench --threads 1,2,4,8 --html report.html
`;

async function main([command, ...rest]: readonly string[]): Promise<number> {
  switch (command) {
    case 'bench':
      return bench(rest);
    case 'top':
      return top(rest);
    case undefined:
    case 'help':
    case '-h':
    case '--help':
      process.stdout.write(HELP);
      return 0;
    case '-v':
    case '--version':
      process.stdout.write(`${VERSION}\n`);
      return 0;
    default:
      throw new UsageError(`there is no command ${JSON.stringify(command)}; there are bench and top. See cenote --help`);
  }
}

// The reader of the output may have had enough: cenote bench | head
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const usage = error instanceof UsageError;
  process.stderr.write(`${usage ? `cenote: ${error.message}` : (error instanceof Error && error.stack) || String(error)}\n`);
  // The process has to be ended, because threads may still be busy.
  process.exit(usage ? 2 : 1);
}
