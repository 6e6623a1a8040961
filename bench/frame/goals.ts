/** What a row should come to. Set before it was measured; the table says which are met and which are not. */
import { isRate, type Row } from './question.ts';

type Measured = Pick<Row, 'unit' | 'cenote' | 'ratio'>;

export interface Goal {
  says(row: Measured): string;
  isMet(row: Measured): boolean;
}

/** Goals by rival. */
export type Goals = Readonly<Record<string, Goal>>;

/** Of the ratio to this rival. */
export const atMost = (limit: number): Goal => ({
  says: () => `<= ${limit}`,
  isMet: ({ ratio }) => ratio !== null && ratio <= limit,
});

export const atLeast = (limit: number): Goal => ({
  says: () => `>= ${limit}`,
  isMet: ({ ratio }) => ratio !== null && ratio >= limit,
});

/** So many times as fast as this rival, whether a time was measured or a rate. */
export const timesAsFast = (times: number): Goal => ({
  says: ({ unit }) => (isRate(unit) ? `>= ${times}` : `<= 1/${times}`),
  isMet: ({ unit, ratio }) => ratio !== null && (isRate(unit) ? ratio : 1 / ratio) >= times,
});

/** Of cenote's own figure, whatever the rival's is. */
export const cenoteAtMost = (limit: number): Goal => ({
  says: () => `cenote <= ${limit}`,
  isMet: ({ cenote }) => cenote <= limit,
});
