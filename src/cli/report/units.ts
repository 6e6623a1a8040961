/** Numbers as text for readers. */

/** The number with three significant digits. */
export function short(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  if (value === 0) return '0';
  return value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2);
}

/** A duration in microseconds, as text in the unit that suits. */
export function duration(us: number, micro = 'us'): string {
  if (us >= 999_500) return `${short(us / 1e6)} s`;
  if (us >= 999.5) return `${short(us / 1000)} ms`;
  return `${short(us)} ${micro}`;
}

/** A duration as it was given: no digits are added. */
export function exactDuration(us: number, micro = 'us'): string {
  if (us >= 1e6) return `${us / 1e6} s`;
  return us >= 1000 ? `${us / 1000} ms` : `${us} ${micro}`;
}

export function percent(share: number): string {
  return share === 0 ? '0' : share < 0.0001 ? '<0.01 %' : `${short(share * 100)} %`;
}

export function times(ratio: number | null, none = '-'): string {
  return ratio === null ? none : `${short(ratio)}x`;
}

export function counted(value: number, noun: string): string {
  return `${value.toLocaleString('en')} ${noun}${value === 1 ? '' : 's'}`;
}
