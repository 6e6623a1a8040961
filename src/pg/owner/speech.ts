/** The conversations of borrowers that speak to the server in the protocol, one at a time, and what is noted of the one that goes on. */
import type { Batch } from '../driver/batch.ts';
import type { Wire } from '../driver/wire.ts';
import type { Answer } from '../messages/protocol.ts';
import { Conversation } from './conversation.ts';

export class Speech {
  /** Statements of one thread that are served in one go, while they are. */
  batch: Batch | undefined;
  /** The last conversation that has a name, over or not. */
  #last: Conversation | undefined;
  /** Types of columns in it for which this thread's program has parsers of its own. */
  readonly #ownTypes = new Set<number>();
  #error: Error | undefined;

  /** The last conversation, if it has that name. */
  get(name: string): Conversation | undefined {
    return this.#last?.name === name ? this.#last : undefined;
  }

  /** A conversation without a name is whole: its borrower says nothing more. */
  open(name: string, wire: Wire): Conversation {
    const conversation = new Conversation(name, wire);
    if (name !== '') this.#last = conversation;
    return conversation;
  }

  /** Before the bytes of a conversation are read. */
  forget(): void {
    this.#error = undefined;
    this.#ownTypes.clear();
  }

  noteOwnType(oid: number): void {
    this.#ownTypes.add(oid);
  }

  noteError(error: Error): void {
    this.#error = error;
  }

  /** What the server has complained about last. */
  get error(): Error | undefined {
    return this.#error;
  }

  get own(): Pick<Answer, 'own'> {
    return this.#ownTypes.size > 0 ? { own: [...this.#ownTypes] } : {};
  }

  /** The borrower says nothing more. Throws if it left in the middle of a message. */
  abandon(): void {
    this.#last?.abandon();
  }
}
