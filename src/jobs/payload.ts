/** The payload of a job between `run` and its thread: the caller may change what it has given, so what waits is a clone. */
import { structuredClone } from '../shared/index.ts';
import { isSurelyCloneable } from './plain.ts';

export interface Parcel {
  readonly payload: unknown;
  readonly transferList: readonly unknown[] | undefined;
}

/** `isSentNow`: it is cloned to its thread before the caller goes on. Throws the DataCloneError. */
export function pack(payload: unknown, transferList: readonly unknown[] | undefined, isSentNow: boolean): Parcel {
  if (transferList !== undefined && transferList.length > 0) {
    const [own, list] = structuredClone([payload, transferList], { transfer: transferList as Transferable[] });
    return { payload: own, transferList: list };
  }
  const isSure = isSurelyCloneable(payload);
  if (isSure && (isSentNow || typeof payload !== 'object')) return { payload, transferList: undefined };
  return { payload: structuredClone(payload), transferList: undefined };
}

type Transferable = NonNullable<NonNullable<Parameters<typeof structuredClone>[1]>['transfer']>[number];

/** May it be sent more than once? What can only be moved is gone after the first time. */
export const canBeCopied = (transferList: readonly unknown[] | undefined): boolean =>
  transferList === undefined || transferList.every((item) => item instanceof ArrayBuffer);
