/** What no request asked for leaves no span: OpenTelemetry's own API says whether tracing is suppressed. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type Context, type ContextManager, context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api';
import * as pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { driverFor } from '../../src/pg/driver/loading.ts';
import { untraced } from '../../src/pg/driver/untraced.ts';

const SUPPRESSED = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING');
const storage = new AsyncLocalStorage<Context>();
const manager: ContextManager = {
  active: () => storage.getStore() ?? ROOT_CONTEXT,
  with: (given, run, self, ...rest) => storage.run(given, () => run.call(self as never, ...rest)) as ReturnType<typeof run>,
  bind: (_context, target) => target,
  enable: () => manager,
  disable: () => manager,
};
const isSuppressed = () => context.active().getValue(SUPPRESSED) === true;

beforeAll(() => void context.setGlobalContextManager(manager));
afterAll(() => context.disable());

test('what runs untraced is not traced, and what comes after is', async () => {
  expect(untraced(isSuppressed)).toBe(true);
  const later = async () => {
    await null;
    return isSuppressed();
  };
  expect(await untraced(later)).toBe(true);
  expect(isSuppressed()).toBe(false);
});

test('the trial of a driver is not traced', async () => {
  const seen: boolean[] = [];
  class Client extends pg.default.Client {
    override connect(...given: any[]): any {
      seen.push(isSuppressed());
      return (super.connect as any)(...given);
    }
    override query(...given: any[]): any {
      seen.push(isSuppressed());
      return (super.query as any)(...given);
    }
  }
  expect(await driverFor({ ...pg.default, Client } as never)).toHaveProperty('driver');
  expect(seen).toEqual([true, true]);
  expect(isSuppressed()).toBe(false);
});

test('without OpenTelemetry it just runs', () => {
  context.disable();
  expect(untraced(() => 7)).toBe(7);
});
