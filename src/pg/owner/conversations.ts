/** What borrowers say to the server in the protocol, each conversation in its turn. Statements of one thread may be said in one go. */
import { clearTimeout, setTimeout } from 'node:timers';
import type { Company } from '../../shared/options/company.ts';
import { Batch, type Speaker } from '../driver/batch.ts';
import { readTimeout } from '../driver/read-timeout.ts';
import type { Said } from '../driver/wire.ts';
import { timeAt } from '../messages/clock.ts';
import { sendError } from '../messages/database-error.ts';
import { type Packed, packed, unpacked } from '../messages/frames.ts';
import { isWhole, longReadingOf } from '../messages/mode.ts';
import { withProfile } from '../messages/profile.ts';
import type { Answer } from '../messages/protocol.ts';
import { wasIdle } from '../messages/telling-errors.ts';
import { readStatement } from '../sql/dirt.ts';
import type { Conversation, Part } from './conversation.ts';
import type { SessionCore } from './session-core.ts';

export class Conversations {
  readonly #core: SessionCore;

  constructor(core: SessionCore) {
    this.#core = core;
  }

  /** A conversation's first call holds the turn until the server is ready again. Its other calls come while it does. */
  speak(borrow: string, name: string, bytes: Packed, mode: number, timeout?: number): Promise<Answer> {
    const conversation = this.#core.speech.get(name);
    if (conversation !== undefined) return this.#sayMore(conversation, unpacked(bytes), mode);
    return new Promise((resolve, reject) => {
      const first = (part: Part): void => resolve({ ...this.#core.stateFor(borrow), ...part });
      this.#core.answer(borrow, () => this.#converse(borrow, name, unpacked(bytes), mode, timeout, first)).then(resolve, reject);
    });
  }

  async hear(borrow: string, name: string): Promise<Answer> {
    const part = (await this.#core.speech.get(name)?.hear()) ?? { bytes: '', more: false };
    return { ...this.#core.stateFor(borrow), ...part };
  }

  /** `company`: statements of the same thread that wait behind this one, and may go with it. */
  speakOnce(profile: string, bytes: Packed, mode: number, timeout?: number, company?: Company): Promise<Answer> {
    const core = this.#core;
    const borrow = withProfile('', profile);
    const converse = async (): Promise<Partial<Answer>> =>
      this.#parsed(await this.#converse('', '', unpacked(bytes), mode, timeout, () => {}), mode);
    const limit = timeout ?? core.backend.queryTimeout;
    if (company === undefined || limit > 0 || core.resetsAlways) return core.answerOnce(borrow, converse);
    return new Promise((resolve, reject) => {
      const batch = (): Batch => new Batch(core.wire, this.#speaker(borrow), [profile, bytes, mode], company);
      core.answerOnce(borrow, () => this.#together(batch(), resolve, converse)).then(resolve, reject);
    });
  }

  async #converse(
    borrow: string,
    name: string,
    bytes: Buffer,
    mode: number,
    timeout: number | undefined,
    first: (part: Part) => void,
  ): Promise<Partial<Answer>> {
    const core = this.#core;
    core.speech.forget();
    const said = core.wire.read(bytes, isWhole(mode));
    this.#touchAll(said, mode);
    await core.runner.lendNames(said.flatMap((each) => each.name || []));
    const conversation = core.speech.open(name, core.wire);
    const limit = timeout ?? core.backend.queryTimeout;
    const timer = limit > 0 ? setTimeout(() => core.break(readTimeout()), limit) : undefined;
    try {
      const running = conversation.run(bytes, isWhole(mode), first);
      if (borrow !== '' && core.life.hasLeft(borrow)) core.abandon();
      return this.#heardAll(await running);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The end of what was said to the server: what has come, and if that is not all, why. */
  #heardAll(part: Part | undefined): Partial<Answer> {
    const { own, error } = this.#core.speech;
    const { broken } = this.#core.life;
    if (broken === undefined) return { ...part, ...own };
    return { ...part, ...own, error: sendError(broken), ...(wasIdle(error) ? { unsent: true } : {}) };
  }

  /** Its asker has the connection no more when it is told. */
  #parsed(answer: Partial<Answer>, mode: number): Partial<Answer> {
    return answer.error === undefined ? { ...answer, ...this.#core.ownTypes.parsed(answer, mode) } : answer;
  }

  /** What is asked first, and what may go behind it. `told` is for the first. Alone, it is as any other. */
  async #together(batch: Batch, told: (answer: Answer) => void, converse: () => Promise<Partial<Answer>>): Promise<Partial<Answer>> {
    if (batch.size < 2) {
      batch.beginAlone();
      const answer = await converse();
      batch.endAlone(answer.bytes?.length ?? 0);
      return answer;
    }
    const { speech } = this.#core;
    speech.forget();
    speech.batch = batch;
    try {
      await new Promise<void>((resolve) => batch.run((answer) => told(answer as Answer), resolve));
    } finally {
      speech.batch = undefined;
    }
    return {};
  }

  /** The session as a batch sees it. */
  #speaker(borrow: string): Speaker {
    const core = this.#core;
    return {
      touch: (text) => core.touch(readStatement(text)),
      told: (bytes, began, mode) => {
        const granted = timeAt(began);
        const heard = this.#parsed(this.#heardAll({ bytes: packed(bytes), more: false }), mode);
        const answer = { ...core.stateFor(borrow), ...heard, granted };
        core.speech.forget();
        return answer;
      },
      cancel: () => void core.cancels.cancelWhatRuns(),
      isDone: () => core.life.isOver || core.isSoiled,
    };
  }

  async #sayMore(conversation: Conversation, bytes: Buffer, mode: number): Promise<Answer> {
    try {
      if (!conversation.isOver) {
        this.#touchAll(this.#core.wire.read(bytes), mode);
        conversation.say(bytes);
      }
    } catch (error) {
      this.#core.break(error as Error);
    }
    return { ...this.#core.state(), more: !conversation.isOver };
  }

  #touchAll(said: readonly Said[], mode: number): void {
    for (const { text } of said) this.#core.touch(longReadingOf(mode, text));
  }
}
