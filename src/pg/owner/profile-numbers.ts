/** The numbers of a pool's profiles: by them a word of shared memory says which profile is in force on a connection (see custody.ts). */
import { LAST_PROFILE } from '../messages/custody.ts';

/** So many are remembered. A profile that comes again after so many others gets another number. */
const MOST = 1000;

export class ProfileNumbers {
  /** The one that was asked for longest ago comes first. */
  readonly #numbers = new Map<string, number>();
  #last: number;

  /** `last`: the number that was given last. */
  constructor(last = 0) {
    this.#last = last;
  }

  /** 0: that of a session as it was made. Undefined: there are no more numbers. */
  of(profile: string): number | undefined {
    if (profile === '') return 0;
    const known = this.#numbers.get(profile);
    if (known === undefined && this.#last === LAST_PROFILE) return undefined;
    const number = known ?? ++this.#last;
    this.#numbers.delete(profile);
    this.#numbers.set(profile, number);
    if (this.#numbers.size > MOST) this.#numbers.delete(this.#numbers.keys().next().value!);
    return number;
  }
}
