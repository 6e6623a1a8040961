/** Faults in src/main and src/worker of the kind that loses a resource or a waiter, for `npm run mutate -- --planted`: does the soak see them, and do the tests? */
import { type Mutant, mutant } from './mutant.ts';

export const planted: readonly Mutant[] = [
  mutant(
    'destroyed, and its place is not free',
    'ResourceStore.destroy',
    "{ this.$BLOCK.$SLOTS.$TO_EMPTY($SLOT); this.$BLOCK.$COUNTERS.$ADD($OWNER, $COUNTER_DESTROYED); if ($REASON === 'recycled') this.$BLOCK.$COUNTERS.$ADD($OWNER, $COUNTER_RECYCLED); this.$BLOCK.$COUNTERS.$ADD_REASON($REASON); $DONE(); this.$EVENTS.$EMIT('destroy', $RESOURCE, $REASON); this.$TURN.$REQUEST(); }",
    "{ this.$BLOCK.$COUNTERS.$ADD($OWNER, $COUNTER_DESTROYED); this.$BLOCK.$COUNTERS.$ADD_REASON($REASON); $DONE(); this.$EVENTS.$EMIT('destroy', $RESOURCE, $REASON); this.$TURN.$REQUEST(); }",
  ),
  mutant('a return that the owner has looked at, and no turn', 'OwnedSlots.receive', 'this.$LOOP.request();', ''),
  mutant(
    'the counters of a thread that goes are not folded',
    'AttachedThreads.onPortClosed',
    '$BLOCK.$COUNTERS.fold($MEMBER.$THREAD);',
    '',
  ),
  mutant(
    'RELEASE does not wait for calls',
    'AttachedThreads.answer',
    'return $MEMBER.$WHEN_SETTLED($SLOT, $LEASE, () => { if (this.$LENDING.$BLOCK.$SLOTS.$SEIZE($SLOT, $LEASE)) this.$TURN.owned.$TAKE_BACK($SLOT); });',
    'if (this.$LENDING.$BLOCK.$SLOTS.$SEIZE($SLOT, $LEASE)) this.$TURN.owned.$TAKE_BACK($SLOT); return;',
  ),
  mutant(
    'a one-shot call whose thread dies while it runs is not ended',
    'OneShotCalls.orphanAfter',
    'if (!$SETTLED) this.$ORPHAN($MEMBER, $CALL);',
    '',
  ),
  mutant(
    'a one-shot call granted as its thread dies keeps the slot',
    'OneShotCalls.run',
    'return this.$LENDING.$GIVE_BACK($SLOT);',
    'return;',
  ),
  mutant('a one-shot call that was withdrawn runs', 'OneShotCalls.run', '$HAS_GONE || $CALL.$CLAIM?.$BEGIN() === false', '$HAS_GONE'),
  mutant('what a dead thread had is never destroyed', 'OwnedSlots.orphaned', "this.$EFFECTS.$DESTROY($SLOT, 'orphaned');", ''),
  mutant('the factory fails, and its place is not free', 'Replenisher.factoryFailed', 'this.$BLOCK.$SLOTS.$TO_EMPTY($SLOT);', ''),
  mutant('a try that is told no is not woken', 'HandOuts.refuse', 'this.$LENDING.matching.$WAKE($CELL_THREAD($WORD));', '{}'),
  mutant('a worker gives back under its own calls', 'WorkerPool.release', '$SLOT < 0 || this.$CALLS.$UNDER_WAY[$SLOT] !== 0', '$SLOT < 0'),
  mutant('a sleeper that gives up stays in line', 'Acquiring.sleep', 'this.$WAITERS.$WITHDRAW($PLACE.cell);', ''),
];
