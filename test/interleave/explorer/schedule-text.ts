// A schedule as text: `a*12 b*5 expire:a kill:b a*3`. Thread a does 12 operations, then b 5, then a's wait times out, b dies, a does 3 more.
import { EXPIRE, KILL, threadOf } from './choice.ts';

export function scheduleText(segments: ArrayLike<number>, length: number, names: readonly string[]): string {
  const parts: string[] = [];
  for (let i = 0; i < length; i++) {
    const choice = segments[2 * i];
    const name = names[threadOf(choice)];
    parts.push(choice & EXPIRE ? `expire:${name}` : choice & KILL ? `kill:${name}` : `${name}*${segments[2 * i + 1]}`);
  }
  return parts.join(' ');
}

export function parseSchedule(text: string, names: readonly string[]): number[] {
  const segments: number[] = [];
  for (const part of text.trim().split(/\s+/).filter(Boolean)) {
    const [, verb, name, times] = /^(?:(expire|kill):)?(.+?)(?:\*(\d+))?$/.exec(part) ?? [];
    const thread = names.indexOf(name);
    if (thread < 0) throw new TypeError(`No thread called ${name} in this scenario (${names.join(', ')})`);
    segments.push(thread | (verb === 'expire' ? EXPIRE : verb === 'kill' ? KILL : 0), Number(times ?? 0));
  }
  return segments;
}
