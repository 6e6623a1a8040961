// `node --import ./scripts/typescript.js file.ts`: runs TypeScript on Node 20, in worker threads too (they inherit --import).
if (!process.features.typescript) {
  // It would leave a folder in the system's temp folder behind, and the demo promises to leave nothing.
  process.env.TSX_DISABLE_CACHE ??= '1';
  const { register } = await import('tsx/esm/api');
  register();
}
