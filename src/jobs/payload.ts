/** Payloads and results between two threads: what Piscina.move has marked is moved, and the payload of a job that waits is a clone. */
import { structuredClone } from '../shared/index.ts';

export interface Parcel {
  readonly value: unknown;
  readonly transferList: readonly unknown[] | undefined;
}

/** What Piscina.move marks. */
const TRANSFERABLE = Symbol.for('Piscina.transferable');
const VALUE = Symbol.for('Piscina.valueOf');

/** Ready to be sent, as it is now. */
export function parcelOf(value: unknown, transferList: readonly unknown[] | undefined): Parcel {
  if (typeof value !== 'object' || value === null || !(TRANSFERABLE in value && VALUE in value)) return { value, transferList };
  return { value: value[VALUE], transferList: [...(transferList ?? []), value[TRANSFERABLE]] };
}

/** A parcel of its own, which the caller does not change any more. Throws the DataCloneError. */
export function kept({ value, transferList }: Parcel): Parcel {
  if (transferList === undefined) return { value: isImmutable(value) ? value : structuredClone(value), transferList };
  const [own, list] = structuredClone([value, transferList], { transfer: transferList as Transferable[] });
  return { value: own, transferList: list };
}

const isImmutable = (value: unknown): boolean =>
  value === null || (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol');

type Transferable = NonNullable<NonNullable<Parameters<typeof structuredClone>[1]>['transfer']>[number];

/** May it be sent more than once? What can only be moved is gone after the first time. */
export const canBeCopied = ({ transferList }: Parcel): boolean =>
  transferList === undefined || transferList.every((item) => item instanceof ArrayBuffer);
