/**
 * What goes through a port: values as structured clone passes them, but for two things.
 *
 * Bytes. A clone brings all the memory that a view looks at, and Node cuts small Buffers out of slabs that others use as well: a password
 * may lie beside. So a view of a part of its memory is replaced by a copy of just its bytes. A view of all of its memory, and of shared
 * memory, goes as it is. A clone makes a Uint8Array of a Buffer: which ones were Buffers is listed beside the value, and as a clone keeps
 * identity, the receiver needs no search.
 *
 * Depth. A thread reads a clone by recursion. What another thread could write may be too deep for its stack, and then the whole message is
 * lost. So what is deeper than any stack takes without effort is sent in a message of its own that is announced before (see `ALONE` in
 * protocol.ts).
 */
import { types } from 'node:util';

/** Levels of nesting that any thread can read: a default stack takes over 1000, and a thread with a smaller one may still expect this. */
const LEVELS = 100;

/**
 * Levels that no clone can write: a level takes 300 bytes of stack or more, so that the default stack of a worker takes 14,000, and this
 * one of 15 MB. Getters that make a new object each time nest without end.
 */
const MOST_LEVELS = 50_000;

/** Nothing special: goes as it is. */
export const PLAIN = 0;
/** Has a Buffer in it, or a view of a part of its memory: see `repack`. */
export const VIEWS = 1;
/** More than LEVELS levels deep. */
export const DEEP = 2;

/** Objects that a first look may meet, where it does not remember which it has met. */
const FIRST_LOOK = 20_000;

/** Bits of the above. Never throws: what cannot be looked at cannot be cloned either, and the clone says so. */
export function survey(value: unknown): number {
  if (typeof value !== 'object' || value === null) return PLAIN;
  try {
    // Nearly everything is a tree. What is not may look deeper or larger than it is, and is looked at again.
    left = FIRST_LOOK;
    let found = look(value, 0, undefined);
    if (found >= DEEP) found = look(value, 0, new Set());
    return found < DEEP ? found : DEEP | (hasViews(value) ? VIEWS : PLAIN);
  } catch {
    return PLAIN;
  }
}

/** Objects that the first look may still meet. */
let left = 0;

/** Goes the way that the clone will go, as the depth depends on it: what was `met` is not entered a second time. */
function look(value: object, level: number, met: Set<object> | undefined): number {
  if (level > LEVELS) return DEEP;
  if (met === undefined) {
    if (left-- === 0) return DEEP;
  } else if (met.has(value)) return PLAIN;
  else met.add(value);
  if (!isPlain(value)) {
    if (Array.isArray(value)) return isSparse(value) ? lookInto(value, level, met) : lookAlong(value, level, met);
    if (ArrayBuffer.isView(value)) return isSpecial(value) ? VIEWS : PLAIN;
    if (value instanceof Date) return PLAIN;
    if (!hasFields(value) || types.isMap(value) || types.isSet(value) || types.isNativeError(value)) return lookInto(value, level, met);
  }
  let found = PLAIN;
  // What is inherited is not cloned. To look at it, too, does no harm, and to ask each time takes longer.
  for (const key in value) {
    const child = (value as Record<string, unknown>)[key];
    if (typeof child !== 'object' || child === null) continue;
    found |= look(child, level + 1, met);
    if (found >= DEEP) return DEEP;
  }
  return found;
}

function lookAlong(list: readonly unknown[], level: number, met: Set<object> | undefined): number {
  let found = PLAIN;
  for (let index = 0; index < list.length; index++) {
    const child = list[index];
    if (typeof child !== 'object' || child === null) continue;
    found |= look(child, level + 1, met);
    if (found >= DEEP) return DEEP;
  }
  return found;
}

function lookInto(value: object, level: number, met: Set<object> | undefined): number {
  return lookAlong(childrenOf(value), level, met);
}

/**
 * The same for values of any depth, without recursion, and the way that the clone will go. Where that way is longer than MOST_LEVELS there
 * is nothing to be said: the clone will fail.
 */
function hasViews(root: object): boolean {
  const met = new Set([root]);
  const way = [within(root)];
  let found = false;
  while (way.length > 0) {
    const { value: child, done } = way.at(-1)!.next();
    if (done) way.pop();
    else if (typeof child === 'object' && child !== null && !met.has(child)) {
      met.add(child);
      if (ArrayBuffer.isView(child)) found ||= isSpecial(child);
      else if (way.push(within(child)) > MOST_LEVELS) return false;
    }
  }
  return found;
}

/** A view that a clone would not pass on as it should. */
function isSpecial(view: ArrayBufferView): boolean {
  return Buffer.isBuffer(view) || isPart(view);
}

function isPart({ buffer, byteLength }: ArrayBufferView): boolean {
  return byteLength !== buffer.byteLength && !types.isSharedArrayBuffer(buffer);
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Is it cloned by its own enumerable properties? */
function hasFields(value: object): boolean {
  return !(
    types.isProxy(value) ||
    types.isDate(value) ||
    types.isRegExp(value) ||
    types.isAnyArrayBuffer(value) ||
    types.isBoxedPrimitive(value) ||
    types.isPromise(value) ||
    types.isWeakMap(value) ||
    types.isWeakSet(value) ||
    types.isGeneratorObject(value) ||
    types.isModuleNamespaceObject(value) ||
    types.isExternal(value)
  );
}

/** It may be billions of holes long, and is gone through by its keys. */
function isSparse(value: readonly unknown[]): boolean {
  return value.length > 10_000 && !(0 in value && value.length - 1 in value);
}

/** What a clone of this one clones, too, one after the other: a getter is asked when it is its turn, as it may make something new. */
function* within(value: object): Generator<unknown> {
  if (types.isMap(value)) for (const entry of entriesOf(value)) yield* entry;
  else if (types.isSet(value)) yield* itemsOf(value);
  else if (types.isNativeError(value)) yield Object.getOwnPropertyDescriptor(value, 'cause')?.value;
  else if (hasFields(value)) for (const key of Object.keys(value)) yield (value as Record<string, unknown>)[key];
}

/** The objects among these, at once. */
function childrenOf(value: object): object[] {
  const children: object[] = [];
  const add = (child: unknown): void => {
    if (typeof child === 'object' && child !== null) children.push(child);
  };
  if (types.isMap(value)) {
    for (const [key, item] of entriesOf(value)) {
      add(key);
      add(item);
    }
  } else if (types.isSet(value)) for (const item of itemsOf(value)) add(item);
  else if (types.isNativeError(value)) add(Object.getOwnPropertyDescriptor(value, 'cause')?.value);
  else if (hasFields(value)) for (const key of Object.keys(value)) add((value as Record<string, unknown>)[key]);
  return children;
}

/** What is in them, whatever a subclass says. */
const entriesOf = (map: object): MapIterator<[unknown, unknown]> => Map.prototype.entries.call(map);
const itemsOf = (set: object): SetIterator<unknown> => Set.prototype.values.call(set);

/**
 * The same, with a view of just its bytes wherever there was a view of a part of its memory, shared with no other code. Only what leads to
 * one is made anew: as a clone would make it, cycles and all. Those that were Buffers are added to `buffers`. Throws what a getter throws.
 */
export function repack(root: unknown, buffers: Uint8Array[]): unknown {
  const copies = new Map<object, object>();
  const unfilled: [original: object, copy: object][] = [];
  const copyOf = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    const known = copies.get(value);
    if (known !== undefined) return known;
    let copy = value;
    if (ArrayBuffer.isView(value)) {
      if (isPart(value)) copy = ownBytes(value);
      if (Buffer.isBuffer(value)) buffers.push(copy as Uint8Array);
    } else if (childrenOf(value).length > 0) {
      copy = shellOf(value);
      unfilled.push([value, copy]);
    }
    copies.set(value, copy);
    return copy;
  };
  const result = copyOf(root);
  // More come while it goes on.
  for (const [original, copy] of unfilled) fill(original, copy, copyOf);
  return result;
}

/** The same value, if there is nothing to be done. */
export function withOwnBytes<V>(value: V, buffers: Uint8Array[]): V {
  return (survey(value) & VIEWS) === 0 ? value : (repack(value, buffers) as V);
}

function shellOf(value: object): object {
  if (Array.isArray(value)) return [];
  if (types.isMap(value)) return new Map();
  if (types.isSet(value)) return new Set();
  if (types.isNativeError(value)) return new Error();
  return {};
}

function fill(original: object, copy: object, copyOf: (value: unknown) => unknown): void {
  if (types.isMap(original)) {
    for (const [key, value] of entriesOf(original)) (copy as Map<unknown, unknown>).set(copyOf(key), copyOf(value));
  } else if (types.isSet(original)) {
    for (const value of itemsOf(original)) (copy as Set<unknown>).add(copyOf(value));
  } else if (types.isNativeError(original)) {
    // What a clone has of an error; its class goes by its name.
    for (const key of ['message', 'stack', 'cause'] as const)
      if (Object.hasOwn(original, key)) define(copy, key, copyOf(original[key]), false);
    define(copy, 'name', original.name, false);
  } else {
    for (const key of Object.keys(original)) define(copy, key, copyOf((original as Record<string, unknown>)[key]), true);
    if (Array.isArray(original)) (copy as unknown[]).length = original.length;
  }
}

/** Own, whatever its name is ('__proto__' is one). */
function define(target: object, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(target, key, { value, enumerable, configurable: true, writable: true });
}

/** A view of the same kind, alone in its memory. */
function ownBytes(view: ArrayBufferView): ArrayBufferView {
  const { buffer, byteOffset, byteLength } = view;
  const bytes = ArrayBuffer.prototype.slice.call(buffer, byteOffset, byteOffset + byteLength);
  if (types.isDataView(view)) return new DataView(bytes);
  const Type = (globalThis as unknown as Record<string, new (bytes: ArrayBuffer) => ArrayBufferView>)[kindOf(view)];
  return new Type(bytes);
}

/** 'Uint8Array' ..., whatever a subclass says. */
const kindOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)!.get!.call.bind(
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)!.get!,
) as (view: ArrayBufferView) => string;

/** Behind the port: these were Buffers, and are again. The list may be anything where another thread is not to be trusted. */
export function asBuffers(views: unknown): void {
  if (!Array.isArray(views)) return;
  for (const view of views) {
    if (!types.isUint8Array(view)) return;
    Object.setPrototypeOf(view, Buffer.prototype);
  }
}
