/** What the owner and the thread that speaks with the engines say to each other. */
import type { ClientConfig } from 'pg';
import type { Origin } from './clock.ts';
import type { Row } from './engines/engine.ts';
import type { RedisSource } from './engines/redis.ts';
import { RefusedError } from './errors.ts';
import type { MemberSettings, News } from './member.ts';

/** How to reach an engine, as it can be sent to the thread. `asks`: the settings are asked for before each connect. */
export type EngineSource =
  | { readonly kind: 'postgres'; readonly table: string; readonly settings: string | ClientConfig | undefined; readonly asks: boolean }
  | { readonly kind: 'redis'; readonly from: RedisSource };

export type ToThread =
  | { to: 'open'; budget: number; settings: MemberSettings; words: SharedArrayBuffer; engine: number; source: EngineSource; origin: Origin }
  | { to: 'look' | 'let-go'; budget: number }
  | { to: 'members'; budget: number; call: number }
  | { to: 'resize'; budget: number; call: number; limit: number }
  | { to: 'close'; budget: number; call: number }
  | { to: 'settings'; question: number; settings?: string | ClientConfig; error?: WireError };

export type ToOwner =
  | { from: 'news'; budget: number; news: News | WireNews }
  | { from: 'reply'; call: number; value?: Row[] | undefined; error?: WireError }
  | { from: 'asks'; engine: number; question: number };

/** News with an error in them. */
export type WireNews = { readonly type: 'unreachable' | 'refused'; readonly error: WireError };

/** Cloning keeps neither the code of an error nor, in every version, its cause. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: unknown;
  readonly isRefused: boolean;
  readonly cause: WireError | undefined;
}

export function packed(thrown: unknown): WireError {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  return {
    name: error.name,
    message: error.message || String(code ?? error.name),
    stack: error.stack,
    code: typeof code === 'string' || typeof code === 'number' ? code : undefined,
    isRefused: error instanceof RefusedError,
    cause: cause === undefined ? undefined : packed(cause),
  };
}

export function unpacked({ name, message, stack, code, isRefused, cause }: WireError): Error {
  const origin = cause === undefined ? undefined : unpacked(cause);
  const error = isRefused ? new RefusedError(message, origin) : new Error(message, { cause: origin });
  Object.defineProperty(error, 'name', { value: name, configurable: true });
  Object.defineProperty(error, 'stack', { value: stack, configurable: true });
  return code === undefined ? error : Object.assign(error, { code });
}
