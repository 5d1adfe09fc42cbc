/** Addresses of edges for one visitor: the region, the kind, and their turns. */
import fc from 'fast-check';
import { test } from 'tap';
import { AddressChooser } from '../../../geo/dns/steered.ts';
import type { Decision, RankedRegion } from '../../../geo/steering.ts';
import { TYPE } from '../../../lib/dns/numbers.ts';
import { EVEN, ODD } from './world.ts';

const ask = (regions: readonly RankedRegion[], type: number, reason: Decision['reason'] = 'nearest', max = 4) =>
  new AddressChooser().choose({ regions, reason } as Decision, type, max);

const SIX = { ...ODD, name: 'six', ipv4: [] };
const BARE = { ...ODD, name: 'bare', ipv4: [], ipv6: [] };

for (const { what, regions, type, region, count } of [
  { what: 'A of a region that has it', regions: [ODD, EVEN], type: TYPE.A, region: 'odd', count: 2 },
  { what: 'AAAA of a region that has it', regions: [ODD, EVEN], type: TYPE.AAAA, region: 'odd', count: 1 },
  { what: 'no AAAA of a farther region', regions: [EVEN, ODD], type: TYPE.AAAA, region: 'even', count: 0 },
  {
    what: 'A of the next region where the first has IPv6 only',
    regions: [SIX, EVEN],
    type: TYPE.A,
    region: 'even',
    count: 3,
  },
  { what: 'a region without addresses left out', regions: [BARE, EVEN], type: TYPE.AAAA, region: 'even', count: 0 },
]) {
  test(`a visitor gets ${what}`, async (t) => {
    const choice = ask(regions, type);
    t.equal(choice?.region.name, region);
    t.equal(choice?.addresses.length, count);
    t.equal(choice?.isLastResort, false);
  });
}

test('no region with an address is no choice', async (t) => {
  t.equal(ask([], TYPE.A), undefined);
  t.equal(ask([BARE], TYPE.A), undefined);
  t.equal(ask([SIX], TYPE.A), undefined, 'nor one of the other kind');
});

test('where none is healthy the default region comes first, wherever it stands', async (t) => {
  const choice = ask([ODD, EVEN], TYPE.A, 'none-healthy');
  t.equal(choice?.region.name, 'even');
  t.ok(choice?.isLastResort);
});

test('addresses take turns: each stands in each place as often as any other', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), (edges, max) => {
      const ipv4 = Array.from({ length: edges }, (_, index) => `192.0.2.${index}`);
      const chooser = new AddressChooser();
      const counts = Array.from({ length: edges }, () => Array<number>(edges).fill(0));
      for (let round = 0; round < edges * 3; round += 1) {
        const { addresses = [] } =
          chooser.choose({ regions: [{ ...ODD, ipv4 }], reason: 'nearest' } as never, TYPE.A, max) ?? {};
        t.equal(addresses.length, Math.min(max, edges));
        t.equal(new Set(addresses.map(([, , , last]) => last)).size, addresses.length, 'none twice');
        for (const [place, [, , , last = 0]] of addresses.entries())
          (counts[place] as number[])[last] = ((counts[place] as number[])[last] ?? 0) + 1;
      }
      for (const place of counts.slice(0, Math.min(max, edges))) t.same(place, Array(edges).fill(3));
    }),
  );
});

test('an edge that goes down begins a new list, and the others take turns on', async (t) => {
  const chooser = new AddressChooser();
  const first = (ipv4: readonly string[]) =>
    chooser.choose({ regions: [{ ...ODD, ipv4 }], reason: 'nearest' } as never, TYPE.A, 1)?.addresses[0]?.join('.');
  const both = ['192.0.2.1', '192.0.2.2'];
  t.same(
    [first(both), first(both), first(['192.0.2.2']), first(both)],
    ['192.0.2.1', '192.0.2.2', '192.0.2.2', '192.0.2.1'],
  );
});
