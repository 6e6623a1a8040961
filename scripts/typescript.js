// `node --import ./scripts/typescript.js file.ts`: runs TypeScript on every Node, in worker threads too (they inherit --import).
// Node 20 knows no types, and Node 22, which strips them, no `using`.
import { register } from 'node:module';

if (Number.parseInt(process.versions.node, 10) < 24) {
  process.setSourceMapsEnabled(true);
  register('./typescript-hooks.js', import.meta.url);
}
