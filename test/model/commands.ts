/** What can be done with a pool, on the model and on a real one. After each, both have to have come to the same. */
import fc from 'fast-check';
import type { Behaviour, Breaker, End, Making, Model, Settings } from './model.ts';
import type { Real, Side } from './real.ts';

type Command = fc.AsyncCommand<Model, Real>;

function command(name: string, check: (model: Model) => boolean, run: (model: Model, real: Real) => unknown): Command {
  return {
    check,
    async run(model, real) {
      await run(model, real);
      await real.agree(model, name);
    },
    toString: () => name,
  };
}

const at = <V>(values: Iterable<V>, index: number): V => {
  const list = [...values];
  return list[index % list.length];
};

export const settings: fc.Arbitrary<Settings> = fc.record({
  max: fc.integer({ min: 1, max: 3 }),
  maxWaiting: fc.constantFrom(0, 1, 100, 100),
  maxUses: fc.constantFrom(0, 0, 1, 2),
  probes: fc.integer({ min: 1, max: 2 }),
  beforeAcquire: fc.boolean(),
  beforeRelease: fc.boolean(),
});

/** `sides`: who borrows. */
export function commands(sides: readonly Side[], size: number): fc.Arbitrary<Iterable<Command>> {
  const side = fc.constantFrom(...sides);
  const index = fc.nat(20);
  const always = (): boolean => true;
  const isOut = (model: Model): boolean => model.out.size > 0;

  const acquire = side.map((who) =>
    command(`${who}.acquire()`, always, (model, real) => model.acquire({ id: real.acquire(who), tries: false })),
  );
  const attempt = side.map((who) =>
    command(`${who}.tryAcquire()`, always, (model, real) => model.acquire({ id: real.tryAcquire(who), tries: true })),
  );
  const timeOut = side.map((who) =>
    command(`${who}.acquire({ timeout })`, always, async (model, real) => {
      const id = real.next;
      const before = model.created + model.destroyed + model.making + model.factoryFailures;
      model.acquire({ id, tries: false });
      // Nothing else happens meanwhile: if it has to wait, its time runs out. But not before the owner has done what it does for it.
      const isServedOrWorkedFor = model.ended.has(id) || model.created + model.destroyed + model.making + model.factoryFailures !== before;
      // Longer than all that comes after it takes on a busy machine.
      real.acquire(who, isServedOrWorkedFor ? 600_000 : 1);
      if (!isServedOrWorkedFor) model.leave(id, 'timeout');
      if (model.ended.has(id)) await real.end(id);
    }),
  );
  const abort = index.map((n) =>
    command(
      `abort(${n})`,
      (model) => model.line.some(({ tries }) => !tries),
      (model, real) => {
        const { id } = at(
          model.line.filter(({ tries }) => !tries),
          n,
        );
        real.abort(id);
        model.leave(id, 'aborted');
      },
    ),
  );
  const release = index.map((n) =>
    command(`release(${n})`, isOut, async (model, real) => {
      const id = at(model.out.keys(), n);
      const uses = real.uses(id);
      await real.release(id);
      model.release(id, uses);
    }),
  );
  // Where somebody is in line the resource may be lent to this very thread again by then.
  const releaseTwice = index.map((n) =>
    command(
      `release(${n}), twice`,
      (model) => isOut(model) && model.line.length === 0,
      async (model, real) => {
        const id = at(model.out.keys(), n);
        const uses = real.uses(id);
        await real.releaseTwice(id);
        model.release(id, uses);
      },
    ),
  );
  const destroy = index.map((n) =>
    command(`destroy(${n})`, isOut, async (model, real) => {
      const id = at(model.out.keys(), n);
      await real.destroy(id);
      model.destroy(id);
    }),
  );
  const finish = fc.tuple(index, fc.boolean()).map(([n, well]) =>
    command(
      `a creation ${well ? 'ends' : 'fails'} (${n})`,
      (model) => model.making > 0,
      (model, real) => {
        real.finish(n, well);
        model.finish(well);
      },
    ),
  );
  const factory = fc.constantFrom<Making>('at once', 'slowly', 'fails').map((how) =>
    command(`the factory makes ${how}`, always, (model, real) => {
      real.factory = model.factory = how;
    }),
  );
  const hook = fc.tuple(
    fc.constantFrom('beforeAcquire' as const, 'beforeRelease' as const),
    fc.constantFrom<Behaviour>('well', 'well', 'no', 'throws'),
  );
  const hooks = hook.map(([which, how]) =>
    command(
      `${which} answers ${how}`,
      (model) => model.settings[which],
      (model, real) => {
        real[which] = model[which] = how;
      },
    ),
  );
  const breaker = fc.constantFrom<Breaker>('active', 'active', 'inactive', 'recovering').map((to) =>
    command(`the breaker becomes ${to}`, always, (model, real) => {
      real.move(to);
      model.move(to);
    }),
  );
  const strategy = fc.boolean().map((on) =>
    command(`setCircuitBreakerStrategy(${on ? 'one that counts' : 'null'})`, always, (model, real) => {
      real.setStrategy(on);
      model.hasStrategy = on;
    }),
  );
  const close = fc.constant(
    command('close()', always, (model, real) => {
      real.close();
      model.close();
    }),
  );
  const drain = fc.constant(
    command(
      'drain()',
      (model) => !model.closed,
      (model, real) => {
        real.drain();
        model.drain();
      },
    ),
  );
  // What ends everything comes seldom, what makes something happen often.
  const weighted: [number, fc.Arbitrary<Command>][] = [
    [8, acquire],
    [4, attempt],
    [1, timeOut],
    [2, abort],
    [8, release],
    [1, releaseTwice],
    [2, destroy],
    [4, finish],
    [3, factory],
    [2, hooks],
    [2, breaker],
    [1, strategy],
  ];
  const living = weighted.flatMap(([weight, arbitrary]) => Array.from({ length: weight }, () => arbitrary));
  const one = fc.oneof({ weight: 40, arbitrary: fc.oneof(...living) }, { weight: 1, arbitrary: fc.oneof(close, drain) });
  return fc.commands([one], { maxCommands: size, size: 'max' });
}

export const CODES: Readonly<Record<string, End>> = {
  ERR_POOL_CLOSED: 'closed',
  ERR_POOL_UNAVAILABLE: 'unavailable',
  ERR_POOL_QUEUE_FULL: 'queue full',
  ERR_POOL_ACQUIRE_TIMEOUT: 'timeout',
};
