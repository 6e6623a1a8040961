// `npm run docs [-- folder]`: writes docs/api (or that folder) from the docstrings. A test runs it into a folder of its own and compares.
// Fails where an export, or a member of one, has no docstring, and where a docstring links to what is not there.
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application, ReflectionKind } from 'typedoc';

const root = fileURLToPath(new URL('../..', import.meta.url));
const out = resolve(process.argv[2] ?? join(root, 'docs/api'));

/** The entry points of the package: their files, as typedoc names them, and what a program imports. */
const ENTRIES = [
  { file: 'src/main/index.ts', name: 'main', imported: 'cenote' },
  { file: 'src/worker/index.ts', name: 'worker', imported: 'cenote/worker' },
  { file: 'src/budget/main.ts', name: 'budget/main', imported: 'cenote/budget' },
  { file: 'src/observe/index.ts', name: 'observe', imported: 'cenote/observe' },
  { file: 'src/pg/main.ts', name: 'pg/main', imported: 'cenote/pg' },
  { file: 'src/pg/worker.ts', name: 'pg/worker', imported: 'cenote/pg/worker' },
  { file: 'src/jobs/main.ts', name: 'jobs/main', imported: 'cenote/jobs' },
  { file: 'src/jobs/worker.ts', name: 'jobs/worker', imported: 'cenote/jobs/worker' },
];

const app = await Application.bootstrapWithPlugins({
  name: 'API',
  entryPoints: ENTRIES.map(({ file }) => join(root, file)),
  tsconfig: join(root, 'tsconfig.build.json'),
  plugin: ['typedoc-plugin-markdown'],
  outputs: [{ name: 'markdown', path: out }],
  logLevel: 'Warn',
  // The compiler that builds cenote has looked at the types. This one is older.
  skipErrorChecking: true,
  excludeExternals: true,
  disableSources: true,
  readme: 'none',
  validation: { notExported: false, invalidLink: true, invalidPath: true, rewrittenLink: true, notDocumented: true },
  requiredToBeDocumented: ['Class', 'Interface', 'Function', 'Variable', 'TypeAlias', 'Property', 'Method', 'Accessor'],
  kindSortOrder: ['Function', 'Interface', 'TypeAlias', 'Variable', 'Class'],
  sort: ['kind', 'source-order'],
  groupOrder: ['Functions', 'Interfaces', 'Type Aliases', 'Variables', 'Classes'],
  router: 'module',
  flattenOutputFiles: true,
  hideBreadcrumbs: true,
  hidePageHeader: true,
  // Else the plugin reckons the anchors of headings, and is wrong where one is another's name put together (Pool.stats, PoolStats).
  useHTMLAnchors: true,
  parametersFormat: 'table',
  propertiesFormat: 'table',
  interfacePropertiesFormat: 'table',
  typeAliasPropertiesFormat: 'table',
  typeDeclarationFormat: 'table',
});
const project = await app.convert();
if (project === undefined) throw new Error('typedoc could not read the sources');
for (const module of project.children) module.name = ENTRIES.find(({ name }) => name === module.name).imported;
// Programs catch these classes, and make none.
for (const made of project.getReflectionsByKind(ReflectionKind.Constructor)) project.removeReflection(made);
app.validate(project);
rmSync(out, { recursive: true, force: true });
await app.generateOutputs(project);
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exitCode = 1;
