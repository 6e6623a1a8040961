// Puts the page of the dashboard together: one file with its styles, its script and uPlot inside, as it may load nothing.
import { readFileSync, writeFileSync } from 'node:fs';
import { buildSync } from 'esbuild';

/** Writes the page of src/observe/page into this folder. */
export function buildPage(root, folder) {
  const read = (path) => readFileSync(`${root}${path}`, 'utf8');
  const { outputFiles } = buildSync({
    entryPoints: [`${root}src/observe/page/main.js`],
    bundle: true,
    minify: true,
    format: 'iife',
    target: 'es2022',
    legalComments: 'none',
    charset: 'utf8',
    write: false,
  });
  const script = outputFiles[0].text.trim();
  const style = `${read('node_modules/uplot/dist/uPlot.min.css')}\n${read('src/observe/page/style.css')}`.trim();
  const licence = read('node_modules/uplot/LICENSE').trim();
  const html = read('src/observe/page/page.html')
    .replace('<!doctype html>', () => `<!doctype html>\n<!-- Plots are drawn by uPlot.\n${licence}\n-->`)
    .replace('/* style */', () => style)
    .replace('/* script */', () => script.replaceAll('</script', '<\\/script'));
  writeFileSync(`${folder}/page.html`, html);
}
