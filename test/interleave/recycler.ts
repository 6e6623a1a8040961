// The shipped recycling (src/main/steering/recycling.ts) of a scenario's owner. Nothing fails, and nothing goes by the clock.
import type { Recycling } from '../../src/main/steering/recycling.ts';
import type { PoolContext } from './actor.ts';
import type { Owner } from './owner.ts';

export type Recycler = Pick<Recycling<unknown>, 'recycle' | 'looked'>;

/** What it does to resources. */
interface Making {
  has(slot: number): boolean;
  create(slot: number): void;
}

export function recyclerOf({ code }: PoolContext, owner: Owner, making: Making): Recycler {
  const { block } = owner.lending;
  const replenisher = {
    isFailing: false,
    isBackingOff: false,
    makeOne(slot: number): boolean {
      if (!block.slots.reserve(slot)) return false;
      making.create(slot);
      return true;
    },
  };
  const holds = { revokeWhatIsOut: () => false };
  const keepAlive = { during: <V>(promise: V): V => promise };
  return new code.Recycling(
    { name: 'pool', maxCreating: 0 } as never,
    block,
    owner.turn as never,
    making as never,
    replenisher as never,
    holds as never,
    keepAlive as never,
  );
}
