/** The driver of this thread, once a pool has been made or attached with one. */
import type { Driver } from './lane.ts';

let known: Driver | undefined;

export const driverHere = (): Driver | undefined => known;

export function setDriverHere(driver: Driver): void {
  known = driver;
}
