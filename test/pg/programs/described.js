/**
 * Any value as text that says all that a program could see of it, the same on every thread: classes, Buffers, dates, errors with their properties, the order of
 * keys. What belongs to one run (the names in `hidden`) is left out.
 */
export function described(value, hidden = []) {
  let text = JSON.stringify(plain(value, []), null, 1);
  for (const [index, name] of hidden.entries()) text = text.replaceAll(name, `<${index}>`);
  return text;
}

/** The private parts of what pg makes for its own use. */
const PLAIN = new Set(['Object', 'Result', 'Field', 'CursorResult']);

function plain(value, within) {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number')
    return Object.is(value, -0) || !Number.isFinite(value) ? { number: Object.is(value, -0) ? '-0' : String(value) } : value;
  if (typeof value !== 'object') return { [typeof value]: typeof value === 'bigint' ? String(value) : '' };
  if (within.includes(value)) return { circular: '' };
  const inside = [...within, value];
  if (Array.isArray(value)) return value.map((item) => plain(item, inside));
  if (value instanceof Date) return { Date: Number.isNaN(value.getTime()) ? 'invalid' : value.toISOString() };
  if (ArrayBuffer.isView(value))
    return { [value.constructor.name]: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex') };
  if (value instanceof Map) return { Map: plain([...value], inside) };
  if (value instanceof Error) return errorOf(value, inside);
  if (value.constructor?.name === 'Result') value = resultOf(value);
  const name = Object.getPrototypeOf(value) === null ? 'null' : value.constructor.name;
  const entries = Object.entries(value).map(([key, each]) => [key, plain(each, inside)]);
  return PLAIN.has(name) ? Object.fromEntries(entries) : { [`class ${name}`]: Object.fromEntries(entries) };
}

const resultOf = ({ command, rowCount, oid, rows, fields }) => ({ command, rowCount, oid, rows, fields });

function errorOf(error, inside) {
  const own = {};
  for (const key of Object.keys(error).sort()) if (key !== 'stack' && error[key] !== undefined) own[key] = plain(error[key], inside);
  return {
    error: error.constructor.name,
    name: error.name,
    message: error.message,
    own,
    ...(error.cause === undefined ? {} : { cause: plain(error.cause, inside) }),
  };
}

/** What becomes of it, either way. */
export async function outcome(body) {
  try {
    return { value: await body() };
  } catch (error) {
    return { error };
  }
}
