/** Metrics for OpenTelemetry, under the names of its semantic conventions for connection pools. */
import type { Attributes, Meter, Observable } from '@opentelemetry/api';
import { Meters, type Reading } from './meter.ts';
import type { AnyPool } from './pools.ts';

/** Of the semantic conventions. */
export const POOL_NAME = 'db.client.connection.pool.name';
const STATE = 'db.client.connection.state';

interface Instrument {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  readonly isCounter?: boolean;
  read(reading: Reading): readonly (readonly [value: number, attributes?: Attributes])[];
}

const INSTRUMENTS: readonly Instrument[] = [
  {
    name: 'db.client.connection.count',
    unit: '{connection}',
    description: 'The number of connections that are currently in state described by the state attribute.',
    read: ({ counts: { idle, used, making } }) => [
      [idle, { [STATE]: 'idle' }],
      [used + making, { [STATE]: 'used' }],
    ],
  },
  {
    name: 'db.client.connection.idle.max',
    unit: '{connection}',
    description: 'The maximum number of idle open connections allowed.',
    read: ({ stats }) => [[stats.max]],
  },
  {
    name: 'db.client.connection.idle.min',
    unit: '{connection}',
    description: 'The minimum number of idle open connections allowed.',
    read: ({ stats }) => [[stats.min]],
  },
  {
    name: 'db.client.connection.max',
    unit: '{connection}',
    description: 'The maximum number of open connections allowed.',
    read: ({ stats }) => [[stats.max]],
  },
  {
    name: 'db.client.connection.pending_requests',
    unit: '{request}',
    description: 'The number of current pending requests for an open connection.',
    read: ({ stats }) => [[stats.waiting]],
  },
  {
    name: 'db.client.connection.timeouts',
    unit: '{timeout}',
    description: 'The number of connection timeouts that have occurred trying to obtain a connection from the pool.',
    isCounter: true,
    read: ({ counters }) => [[counters.timedOut]],
  },
];

/**
 * Adds the connection metrics of OpenTelemetry's semantic conventions to a meter, as observable instruments: db.client.connection.count,
 * idle.max, idle.min, max, pending_requests and timeouts. Each pool is told by the attribute db.client.connection.pool.name. What is
 * being made counts as used. Once a pool is closed, nothing is observed of it; disposed, nothing at all. For create_time, wait_time and
 * use_time see `openTelemetryProducer`. Throws TypeError for what is no pool.
 */
export function openTelemetry(pools: readonly AnyPool[], meter: Meter): Disposable {
  if (typeof (meter as Meter | undefined)?.addBatchObservableCallback !== 'function')
    throw new TypeError('openTelemetry takes a Meter of @opentelemetry/api as its second argument');
  const meters = new Meters(pools);
  const instruments = new Map<Instrument, Observable>();
  for (const instrument of INSTRUMENTS) {
    const { name, isCounter, ...options } = instrument;
    const made = isCounter ? meter.createObservableCounter(name, options) : meter.createObservableUpDownCounter(name, options);
    instruments.set(instrument, made);
  }
  const observables = [...instruments.values()];
  const observe: Parameters<Meter['addBatchObservableCallback']>[0] = (result) => {
    for (const reading of meters.read())
      for (const [instrument, observable] of instruments)
        for (const [value, attributes] of instrument.read(reading))
          result.observe(observable, value, { [POOL_NAME]: reading.label, ...attributes });
  };
  meter.addBatchObservableCallback(observe, observables);
  return { [Symbol.dispose]: () => meter.removeBatchObservableCallback(observe, observables) };
}
