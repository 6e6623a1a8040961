/** What the wings use of the inside, on every thread: not an entry point of the package. */
export { LONGEST, now } from './clock.ts';
export { HISTOGRAM_BUCKETS } from './layout.ts';
export { clearTimeout, process, queueMicrotask, setImmediate, setTimeout, structuredClone } from './node.ts';
export { checkFew, type OptionNames } from './options/option-names.ts';
export { asError, isError, show } from './show.ts';
export { abortReason, isAbortSignal, SharedAbortListeners } from './waiting/abort-signals.ts';
export { type CancellablePool, type Cancellation, type Canceller, setCanceller } from './waiting/cancellation.ts';
export { fromWire, isCloneable, toWire, type WireError } from './wire/error-wire.ts';
export { asBuffers, withOwnBytes } from './wire/parcel.ts';
export { ringAt } from './words/bell.ts';
export { Histogram } from './words/histogram.ts';
