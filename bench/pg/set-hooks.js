// The hooks of set.js: they change a declaration while its file is loaded.
let settings = [];

export function initialize(data) {
  settings = data;
}

export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context);
  const own = settings.filter((setting) => setting.url === url);
  if (own.length === 0 || loaded.source == null) return loaded;
  const text = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source);
  return { ...loaded, source: own.reduce((source, { from, to }) => source.replace(from, to), text) };
}
