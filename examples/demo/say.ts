export function say(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** Names and texts of strangers: no control characters of theirs on our terminal. */
export function printable(text: string): string {
  const clean = text.replace(/[\p{Cc}\p{Cf}\p{Cs}\s]+/gu, ' ').trim();
  return clean.length > 110 ? `${clean.slice(0, 109)}…` : clean;
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** `counted(1, 'file')` is "1 file". */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

export function milliseconds(value: number): string {
  return `${value < 10 ? value.toFixed(1) : count(value)} ms`;
}
