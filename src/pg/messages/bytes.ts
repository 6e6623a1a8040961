/**
 * Buffers across threads. A clone brings all the memory that a view looks at. Node cuts small Buffers out of slabs that other code uses as
 * well, so a password may lie beside. So what is sent is a copy of the very bytes. It arrives as a Uint8Array, and is made a Buffer again.
 */

/** The value with every Buffer in it copied out, or the value itself if there is none. */
export function withOwnBytes(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value)) return ownBytes(value);
  if (Array.isArray(value)) return mapped(value, withOwnBytes);
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  let copy: Record<string, unknown> | undefined;
  for (const key of Object.keys(value)) {
    const before = (value as Record<string, unknown>)[key];
    const after = withOwnBytes(before);
    if (after === before) continue;
    copy ??= { ...value };
    copy[key] = after;
  }
  return copy ?? value;
}

/** A view that shares its memory with no other view. */
export function ownBytes(view: ArrayBufferView): ArrayBufferView {
  if (view.byteLength === view.buffer.byteLength && view.buffer instanceof ArrayBuffer && !Buffer.isBuffer(view)) return view;
  if (Buffer.isBuffer(view)) return new Uint8Array(view);
  const Type = view.constructor as new (buffer: ArrayBuffer) => ArrayBufferView;
  return new Type(new Uint8Array(new Uint8Array(view.buffer, view.byteOffset, view.byteLength)).buffer);
}

export function hasBuffer(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (Buffer.isBuffer(value)) return true;
  if (Array.isArray(value)) return value.some(hasBuffer);
  const prototype = Object.getPrototypeOf(value);
  return (prototype === Object.prototype || prototype === null) && Object.values(value).some(hasBuffer);
}

/** The way back: what arrived as bytes is a Buffer again. */
export function asBuffers(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return mapped(value, asBuffers);
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype)
    for (const [key, each] of Object.entries(value)) (value as Record<string, unknown>)[key] = asBuffers(each);
  return value;
}

function mapped(values: readonly unknown[], change: (value: unknown) => unknown): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (const [index, before] of values.entries()) {
    const after = change(before);
    if (after === before) continue;
    copy ??= [...values];
    copy[index] = after;
  }
  return copy ?? values;
}
