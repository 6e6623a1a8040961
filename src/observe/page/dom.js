/** Elements: made once, and changed only where something has changed. */

/** `h('td', { className: 'n' }, 'text', child)` */
export function h(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

/** As many children as there are items: made by `make`, brought up to date by `update(child, item, index)`. */
export function fill(parent, items, make, update) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  for (let index = 0; index < items.length; index++) {
    let child = parent.children[index];
    if (child === undefined) {
      child = make();
      parent.append(child);
    }
    update(child, items[index], index);
  }
}

const MOST_ROWS = 200;

/** A table in a `details`: never more rows than can be read. */
export function table(title, columns) {
  const head = h('tr', {}, ...columns.map((column) => h('th', { textContent: column, scope: 'col' })));
  const body = h('tbody');
  const more = h('p', { className: 'more' });
  const summary = h('summary', { textContent: title });
  const scroll = h('div', { className: 'scroll', tabIndex: 0 }, h('table', { className: 'rows' }, h('thead', {}, head), body));
  const element = h('details', {}, summary, scroll, more);
  return {
    element,
    /** `rows`: { cells, thread } */
    update(rows) {
      setText(summary, `${title} (${rows.length})`);
      if (!element.open) return;
      const shown = rows.slice(0, MOST_ROWS);
      fill(
        body,
        shown,
        () => h('tr', {}, ...columns.map(() => h('td'))),
        (row, { cells, thread }) => {
          if (row.dataset.thread !== String(thread)) row.dataset.thread = String(thread);
          for (const [index, cell] of cells.entries()) setText(row.children[index], cell);
        },
      );
      setText(more, rows.length > MOST_ROWS ? `and ${rows.length - MOST_ROWS} more: filter by a thread, like "7"` : '');
    },
  };
}

/** Milliseconds as one reads them. */
export function duration(ms) {
  if (ms === undefined || ms === null) return '';
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  return minutes < 60 ? `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function number(value) {
  if (value === undefined || value === null) return '';
  return value >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString('en-US') : value.toFixed(1);
}
