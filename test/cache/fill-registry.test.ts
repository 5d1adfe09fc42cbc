import fc from 'fast-check';
import { test } from 'tap';
import type { Fill } from '../../cache/fill.ts';
import { FillRegistry, type Registration } from '../../cache/fill-registry.ts';

/** Makes distinct fills; only their identity matters. */
function some(): Fill {
  return {} as Fill;
}

function begin(fills: FillRegistry, fill: Fill, key: string, place: string | undefined): Registration {
  const registration = fills.begin(key, place, key);
  registration.add(fill);
  return registration;
}

test('a fill is found by its request, and among all fills of its key', async (t) => {
  const fills = new FillRegistry();
  const [joinable, alone, other] = [some(), some(), some()];
  begin(fills, joinable, 'a', 'a');
  begin(fills, alone, 'a', undefined);
  begin(fills, other, 'b', 'b\npeer');
  t.equal(fills.at('a'), joinable);
  t.equal(fills.at('b\npeer'), other);
  t.equal(fills.at('b'), undefined);
  t.same([...fills.of('a')], [joinable, alone]);
  t.same([fills.size, [...fills.keys()].sort()], [2, ['a', 'b']]);
});

test('a superseded fill belongs to its key until it is done, and does not remove its successor', async (t) => {
  const fills = new FillRegistry();
  const [overtaken, newer] = [some(), some()];
  const first = begin(fills, overtaken, 'a', 'a');
  const second = begin(fills, newer, 'a', 'a');
  t.equal(fills.at('a'), newer);
  t.equal(fills.count('a'), 2);
  first.delete();
  t.equal(fills.at('a'), newer);
  first.delete();
  second.delete();
  t.equal(fills.at('a'), undefined);
  t.same(fills.of('a'), []);
  t.equal(fills.size, 0);
  second.delete(); // what is not there any more is left alone
  t.same([fills.size, fills.awaited('a')], [0, 0]);
});

/** Registry in which each fill is looked up by its names: what a registration, which keeps its entries, must equal. */
class ByName {
  readonly fills: { fill: Fill; key: string; place: string | undefined; countedAs: string; state: State }[] = [];
  readonly joinable = new Map<string, Fill>();

  awaited(name: string): number {
    return this.fills.filter(({ countedAs, state }) => countedAs === name && state === 'sent').length;
  }

  of(key: string): Fill[] {
    return this.fills.filter((one) => one.key === key && one.state !== 'ended').map(({ fill }) => fill);
  }
}

type State = 'sent' | 'answered' | 'ended';

const NAMES = ['a', 'a\npeer', 'a\npass', 'b'];

test('property: whatever begins, is answered and ends in whatever order, every name leads to what is under way', async () => {
  const name = fc.constantFrom(...NAMES);
  const beginning = fc.record({ key: fc.constantFrom('a', 'b'), place: fc.option(name), countedAs: name });
  const step = fc.oneof(
    fc.record({ begin: beginning }),
    fc.record({ settle: fc.nat(9) }),
    fc.record({ end: fc.nat(9) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const [fills, model] = [new FillRegistry(), new ByName()];
      const registrations: Registration[] = [];
      for (const one of steps) {
        if ('begin' in one) {
          const [{ key, countedAs }, place] = [one.begin, one.begin.place ?? undefined];
          const fill = some();
          const registration = fills.begin(key, place, countedAs);
          registration.add(fill);
          registrations.push(registration);
          model.fills.push({ fill, key, place, countedAs, state: 'sent' });
          if (place !== undefined) model.joinable.set(place, fill);
        } else {
          const nth = 'settle' in one ? one.settle : one.end;
          const [known, registration] = [model.fills[nth], registrations[nth]];
          if (known === undefined || registration === undefined) continue;
          if ('settle' in one) {
            registration.settled();
            if (known.state === 'sent') known.state = 'answered';
          } else {
            registration.delete();
            known.state = 'ended';
            if (known.place !== undefined && model.joinable.get(known.place) === known.fill)
              model.joinable.delete(known.place);
          }
        }
        for (const known of NAMES) {
          if (fills.awaited(known) !== model.awaited(known)) return false;
          if (fills.at(known) !== model.joinable.get(known)) return false;
          const [found, expected] = [fills.of(known), model.of(known)];
          if (fills.count(known) !== expected.length || !expected.every((fill, at) => found[at] === fill)) return false;
        }
      }
      const keys = new Set(model.fills.filter(({ state }) => state !== 'ended').map(({ key }) => key));
      return fills.size === keys.size && [...fills.keys()].every((key) => keys.has(key));
    }),
    { numRuns: 2_000 },
  );
});
