// `node --import ./scripts/typescript.js file.ts`: runs TypeScript on Node 20, in worker threads too (they inherit --import).
import { register } from 'tsx/esm/api';

if (!process.features.typescript) register();
