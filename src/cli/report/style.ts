/**
 * The colours are those of Okabe and Ito, which colour-blind readers can tell apart. They are somewhat darker on white and lighter on
 * black, so that text in them can be read.
 */
export const STYLE = `
:root { color-scheme: light dark; --page: #fff; --ink: #1b1f24; --soft: #57606a; --grid: #dfe3e8; --reference: #8a929b; --raised: #f6f8fa;
  --cenote: #0067a5; --mutex: #b84a00; --messages: #00735a; --piscina: #9c3587; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171b; --ink: #e8ebee; --soft: #a3acb5; --grid: #2c3238; --reference: #77818b; --raised: #1d2227;
    --cenote: #5bb8f0; --mutex: #f59342; --messages: #33c9a0; --piscina: #e690cb; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 84rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.3rem; margin: 3rem 0 .3rem; }
p { max-width: 46rem; margin: .5rem 0; }
.machine, figcaption, .how { color: var(--soft); }
.machine { font-size: .9rem; max-width: none; }
.lead { font-size: 1.12rem; margin-top: 1.2rem; }
.note { border-left: 4px solid var(--reference); padding: .2rem .9rem; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.6rem; list-style: none; padding: 0; margin: 1.4rem 0 0; font-size: .95rem; }
.legend li { display: flex; align-items: center; gap: .5rem; }
.legend svg { width: 30px; height: 16px; flex: none; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); gap: 1.6rem 2.2rem; margin-top: 1.2rem; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: .95rem; margin-bottom: .3rem; }
figcaption b { color: var(--ink); font-weight: 600; }
figure svg { display: block; width: 100%; height: auto; }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: var(--soft); }
svg text.label { font-size: 12.5px; font-weight: 600; fill: var(--of); }
.grid { stroke: var(--grid); stroke-width: 1; }
.base { stroke: var(--reference); stroke-width: 1; }
.reference { stroke: var(--reference); stroke-width: 1.5; stroke-dasharray: 3 3; }
.cenote { --of: var(--cenote); } .mutex { --of: var(--mutex); } .messages { --of: var(--messages); } .piscina { --of: var(--piscina); }
.series { fill: var(--of); stroke: var(--page); stroke-width: 1.2; }
.series polyline { fill: none; stroke: var(--of); stroke-width: 2; stroke-linejoin: round; }
.series.cenote polyline { stroke-width: 3; }
.series.dashed polyline { stroke-dasharray: 6 4; }
.series.dashed { fill: var(--page); stroke: var(--of); stroke-width: 1.6; }
.series.strip { fill-opacity: .75; }
.leader { stroke: var(--of); stroke-width: 1; fill: none; opacity: .45; }
.scroll { overflow-x: auto; margin-top: 1rem; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .28rem .7rem; text-align: right; }
th { position: sticky; top: 0; background: var(--raised); font-weight: 600; }
.left { text-align: left; }
tbody tr.first td { border-top: 1px solid var(--grid); }
td.contestant { color: var(--of); font-weight: 600; }
.how { font-size: .93rem; }
.how li { max-width: 46rem; margin: .3rem 0; }
@media (max-width: 40rem) { body { font-size: 15px; } h1 { font-size: 1.5rem; } svg text, svg text.label { font-size: 14.5px; } }
@media print { .scroll { overflow: visible; } figure { break-inside: avoid; } }
`;
