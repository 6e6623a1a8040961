// `node --import ./scripts/typescript.js file.ts`: runs TypeScript on every Node, in worker threads too (they inherit --import).
// Node 20 knows no types, and Node 22, which strips them, no `using`.
if (Number.parseInt(process.versions.node, 10) < 24) {
  // It would leave a folder in the system's temp folder behind, and the demo promises to leave nothing.
  process.env.TSX_DISABLE_CACHE ??= '1';
  const { register } = await import('tsx/esm/api');
  register();
}
