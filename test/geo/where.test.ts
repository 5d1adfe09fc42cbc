/** Decisions in words: whatever the network is like, the sentence is whole and names the right regions. */
import fc from 'fast-check';
import { test } from 'tap';
import type { Located, Locator } from '../../geo/locator.ts';
import { createSteering } from '../../geo/steer.ts';
import { whereAnswer } from '../../geo/where.ts';
import { monotonicMs } from '../../lib/clock.ts';
import { CITIES, regionOf } from './region.ts';

const PLACE = { country: 'DE', continent: 'EU', coordinates: [52.5, 13.4], prefix: 20 } as const;

function locatorOf(located: Partial<Located>): Locator {
  const known: Located = { address: '11.0.0.1', kind: 'public', place: undefined, prefix: 8, ...located };
  return { locate: () => known.place, explain: () => known, databases: [], close: () => undefined };
}

const CITY = Object.keys(CITIES);

test('every decision is a whole sentence about regions that there are', async (t) => {
  const region = fc.record({
    drained: fc.boolean(),
    health: fc.constantFrom('healthy' as const, 'down' as const, 'recovering' as const),
    healthyAt: fc.constantFrom(monotonicMs(0), monotonicMs(9_999)),
    shed: fc.constantFrom(0, 0.5, 1),
    weight: fc.constantFrom(1, 3),
    countries: fc.constantFrom([], ['DE']),
    continents: fc.constantFrom([], ['EU' as const]),
    isDefault: fc.boolean(),
    hasPlace: fc.boolean(),
  });
  const place = fc.constantFrom(undefined, PLACE, { asn: 1, prefix: 8 });
  const reasons = new Set<string>();
  fc.assert(
    fc.property(fc.array(region, { maxLength: 5 }), place, fc.boolean(), (regions, where, isPublic) => {
      const network = {
        regions: regions.map(({ hasPlace, ...changes }, index) =>
          regionOf(CITY[index] ?? '', { ...changes, coordinates: hasPlace ? CITIES[CITY[index] ?? ''] : undefined }),
        ),
      };
      const locator = locatorOf(isPublic ? { place: where } : { kind: 'private' });
      const decision = createSteering({ locator, network: () => network }).where('11.0.0.1', monotonicMs(1_000));
      const { because, reason, region: name, order } = whereAnswer(decision, locator);
      reasons.add(reason);
      t.match(because, /^[^:]*[^: ]\.$|: \S.*\S\.$/, `${reason}: ${because}`);
      t.notMatch(because, /undefined|null|: \./, reason);
      if (name === null) t.equal(because, 'There is no region.');
      else if (reason !== 'none-healthy') t.ok(because.includes(name), because);
      if (reason === 'fallback') {
        for (const { region: other, state } of order) {
          if (because.includes(`${other} is `)) t.not(state, 'healthy', because);
        }
      }
    }),
    { numRuns: 10_000 },
  );
  t.same([...reasons].sort(), [
    'default',
    'fallback',
    'nearest',
    'no-region',
    'none-healthy',
    'pinned-continent',
    'pinned-country',
  ]);
});

test('what is not known is null, and distances are whole kilometres', async (t) => {
  const locator = locatorOf({ place: PLACE });
  const network = { regions: [regionOf('fra', { coordinates: [50.11, 8.68], weight: 3 }), regionOf('x')] };
  const answer = whereAnswer(
    createSteering({ locator, network: () => network }).where('11.0.0.1', monotonicMs(0)),
    locator,
  );
  const [near, far] = answer.order;
  t.match(near, { region: 'fra', distance_km: Number, edges_up: 2, edges: 2, pin: null });
  t.ok(Number.isInteger(near?.distance_km) && Number.isInteger(near?.counts_as_km));
  t.match(far, { distance_km: null, counts_as_km: null, coordinates: null });
});
