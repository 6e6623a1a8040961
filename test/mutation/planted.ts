/** Faults in src/main and src/worker of the kind that loses a resource or a waiter, for `npm run mutate -- --planted`: does the soak see them, and do the tests? */
import { type Mutant, mutant } from '../interleave/explorer/mutant.ts';

export const planted: readonly Mutant[] = [
  mutant(
    'destroyed, and its place is not free',
    'main/stock.ts',
    'this.#block.slots.vacate(slot);\n      this.#block.tallies.add(OWNER, TALLY_DESTROYED);',
    'this.#block.tallies.add(OWNER, TALLY_DESTROYED);',
  ),
  mutant(
    'a return that the owner has looked at, and no turn',
    'main/pool.ts',
    "this.#stock.unmake(slot, 'rejected-on-release');\n      }\n      this.called();",
    "this.#stock.unmake(slot, 'rejected-on-release');\n      }",
  ),
  mutant('the counters of a thread that goes are not folded', 'main/members.ts', 'block.tallies.fold(member.thread);', ''),
  mutant(
    'RELEASE does not wait for calls',
    'main/members.ts',
    'return member.whenSettled(slot, lease, () => {\n          if (this.#lending.block.slots.seize(slot, lease)) this.#events.returned(slot);\n        });',
    'if (this.#lending.block.slots.seize(slot, lease)) this.#events.returned(slot);\n        return;',
  ),
  mutant(
    'an errand whose thread dies while it runs is not ended',
    'main/errands.ts',
    'if (!settled) this.#end(member, errand, this.#desk.orphan);',
    '',
  ),
  mutant(
    'an errand granted as its thread dies keeps the slot',
    'main/errands.ts',
    '!this.#errands.has(member)) return this.#desk.giveBack(slot);',
    '!this.#errands.has(member)) return;',
  ),
  mutant(
    'an errand that was withdrawn keeps the slot',
    'main/errands.ts',
    'this.#over(member, errand);\n      return this.#desk.giveBack(slot);',
    'this.#over(member, errand);\n      return;',
  ),
  mutant(
    'an errand that was withdrawn runs',
    'main/errands.ts',
    'errand.claim !== undefined && !errand.claim.begin()',
    'errand.claim !== undefined && errand.claim.begin() === undefined',
  ),
  mutant('what a dead thread had is never unmade', 'main/pool.ts', "this.#stock.unmake(slot, 'orphaned');", ''),
  mutant(
    'the factory fails, and its place is not free',
    'main/demand.ts',
    'this.#block.slots.vacate(slot);\n    const isTold',
    'const isTold',
  ),
  mutant(
    'a try that is told no is not woken',
    'main/demand.ts',
    'this.#lending.wake(cellThread(word));\n    this.#lending.hasWaiters();',
    '{}\n    this.#lending.hasWaiters();',
  ),
  mutant(
    'a worker gives back under its own calls',
    'worker/pool.ts',
    'if (slot < 0 || this.calls.underWay[slot] !== 0) this',
    'if (slot < 0) this',
  ),
  mutant('a sleeper that gives up stays in line', 'worker/pool.ts', 'this.lending.withdraw(cell);', ''),
];
