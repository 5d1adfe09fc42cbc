import { test } from 'tap';
import type { GeoLocation } from '../../geo/location.ts';
import type { Locator } from '../../geo/locator.ts';
import type { NetworkRegion } from '../../geo/network.ts';
import { openLocator } from '../../geo/open-locator.ts';
import { createSteering } from '../../geo/steer.ts';
import type { Decision } from '../../geo/steering.ts';
import { whereAnswer } from '../../geo/where.ts';
import { formatIpv4 } from '../../lib/address.ts';
import { monotonicMs } from '../../lib/clock.ts';
import { cityDatabases, type SampledNetwork, sampledNetworks } from './city-sample.ts';
import { CITIES, regionOf } from './region.ts';

/** Addresses and their places, by name of what they stand for. */
const PLACES: Readonly<Record<string, GeoLocation>> = {
  '11.0.0.1': { country: 'DE', continent: 'EU', coordinates: [52.52, 13.4], prefix: 20 },
  '11.0.0.2': { country: 'US', continent: 'NA', coordinates: [37.77, -122.42], prefix: 18 },
  '11.0.0.3': { country: 'FR', continent: 'EU', prefix: 16 },
  '11.0.0.4': { asn: 64_500, prefix: 24 },
};

const LOCATOR: Locator = {
  locate: (address) => PLACES[address],
  explain: (address) => {
    const place = PLACES[address];
    return { address, kind: address.startsWith('10.') ? 'private' : 'public', place, prefix: place?.prefix ?? 8 };
  },
  databases: [],
  close: () => undefined,
};

const BERLIN = '11.0.0.1';
const SAN_FRANCISCO = '11.0.0.2';

function decide(regions: readonly NetworkRegion[], address: string, now = 0): Decision {
  const network = { regions };
  return createSteering({ locator: LOCATOR, network: () => network }).where(address, monotonicMs(now));
}

const FRA = regionOf('fra', { coordinates: [50.11, 8.68] });
const IAD = regionOf('iad', { coordinates: [39.04, -77.49] });
const SIN = regionOf('sin', { coordinates: [1.35, 103.82] });

for (const { what, regions, address, order, reason } of [
  { what: 'the nearest', regions: [SIN, IAD, FRA], address: BERLIN, order: 'fra iad sin', reason: 'nearest' },
  {
    what: 'a weight bends the distance',
    regions: [{ ...IAD, weight: 20 }, FRA],
    address: BERLIN,
    order: 'iad fra',
    reason: 'nearest',
  },
  {
    what: 'a pinned country beats the distance, and a pinned continent',
    regions: [FRA, { ...IAD, continents: ['EU'] }, { ...SIN, countries: ['DE'] }],
    address: BERLIN,
    order: 'sin iad fra',
    reason: 'pinned-country',
  },
  {
    what: 'a pinned continent beats the distance',
    regions: [FRA, { ...IAD, continents: ['EU'] }],
    address: BERLIN,
    order: 'iad fra',
    reason: 'pinned-continent',
  },
  {
    what: 'of two that have the country the nearer one',
    regions: [
      { ...SIN, countries: ['DE'] },
      { ...IAD, countries: ['DE'] },
    ],
    address: BERLIN,
    order: 'iad sin',
    reason: 'pinned-country',
  },
  {
    what: 'a pin needs no coordinates',
    regions: [FRA, { ...IAD, countries: ['FR'] }],
    address: '11.0.0.3',
    order: 'iad fra',
    reason: 'pinned-country',
  },
  {
    what: 'what is drained comes after all that is well, pinned or not',
    regions: [{ ...FRA, drained: true, countries: ['DE'] }, SIN, IAD],
    address: BERLIN,
    order: 'iad sin fra',
    reason: 'fallback',
  },
  {
    what: 'what is down comes last',
    regions: [{ ...FRA, health: 'down' as const }, { ...IAD, drained: true }, SIN],
    address: BERLIN,
    order: 'sin iad fra',
    reason: 'fallback',
  },
  {
    what: 'what recovers waits',
    regions: [{ ...FRA, health: 'recovering' as const, healthyAt: monotonicMs(1) }, IAD],
    address: BERLIN,
    order: 'iad fra',
    reason: 'fallback',
  },
  {
    what: 'a fallback that nobody needs is none',
    regions: [FRA, { ...IAD, health: 'down' as const }],
    address: BERLIN,
    order: 'fra iad',
    reason: 'nearest',
  },
  {
    what: 'when nothing is well',
    regions: [
      { ...FRA, health: 'down' as const },
      { ...IAD, drained: true },
    ],
    address: BERLIN,
    order: 'iad fra',
    reason: 'none-healthy',
  },
  {
    what: 'the default for whom nothing is known, the others as near as they are to it',
    regions: [FRA, SIN, { ...IAD, isDefault: true }],
    address: '8.8.8.8',
    order: 'iad fra sin',
    reason: 'default',
  },
  {
    what: 'the default for a private address',
    regions: [FRA, { ...IAD, isDefault: true }],
    address: '10.0.0.1',
    order: 'iad fra',
    reason: 'default',
  },
  {
    what: 'the default where only the network is known',
    regions: [FRA, { ...IAD, isDefault: true }],
    address: '11.0.0.4',
    order: 'iad fra',
    reason: 'default',
  },
  {
    what: 'without a default the first by name',
    regions: [SIN, IAD, FRA],
    address: '8.8.8.8',
    order: 'fra iad sin',
    reason: 'default',
  },
  {
    what: 'a default that is down is said to be',
    regions: [FRA, { ...IAD, isDefault: true, health: 'down' as const }],
    address: '8.8.8.8',
    order: 'fra iad',
    reason: 'fallback',
  },
  {
    what: 'a region of which nobody knows where it is comes after those that are somewhere',
    regions: [regionOf('aaa'), SIN],
    address: BERLIN,
    order: 'sin aaa',
    reason: 'nearest',
  },
  {
    what: 'equally far: by name',
    regions: [
      { ...FRA, name: 'b' },
      { ...FRA, name: 'a' },
    ],
    address: BERLIN,
    order: 'a b',
    reason: 'nearest',
  },
  { what: 'no regions', regions: [], address: BERLIN, order: '', reason: 'no-region' },
] as const) {
  test(`order of regions for a visitor: ${what}`, async (t) => {
    const decision = decide(regions as readonly NetworkRegion[], address);
    t.equal(decision.regions.map(({ name }) => name).join(' '), order);
    t.equal(decision.reason, reason);
    t.equal(decision.chosen, decision.regions[0]);
    const answer = whereAnswer(decision, LOCATOR);
    t.equal(answer.region, order.split(' ')[0] || null);
    t.match(answer.because, /^[A-Z].*\.$|^\w+ (?:is|comes next).*\.$/);
    // The order in which the files come makes no difference.
    const turned = decide((regions as readonly NetworkRegion[]).toReversed(), address);
    t.strictSame(turned.regions, decision.regions);
  });
}

test('a recovering region becomes healthy by time alone', async (t) => {
  const network = { regions: [{ ...FRA, health: 'recovering' as const, healthyAt: monotonicMs(100) }, IAD] };
  const steering = createSteering({ locator: LOCATOR, network: () => network });
  t.equal(steering.where(BERLIN, monotonicMs(99)).chosen?.name, 'iad');
  t.equal(steering.where(BERLIN, monotonicMs(100)).chosen?.name, 'fra');
});

test('only edges that are up are named, unless none is', async (t) => {
  const [first, second] = FRA.edges;
  const half = { ...FRA, edges: [{ ...first, up: false }, second] } as NetworkRegion;
  t.match(decide([half], BERLIN).chosen, { ipv4: ['192.0.2.2'], ipv6: ['2001:db8::2'], edges: { up: 1, total: 2 } });
  const none = { ...FRA, health: 'down', edges: FRA.edges.map((edge) => ({ ...edge, up: false })) } as NetworkRegion;
  t.match(decide([none], BERLIN).chosen, { ipv4: ['192.0.2.1', '192.0.2.2'], state: 'down', edges: { up: 0 } });
});

test('a full region gives away the share that it cannot take, whole networks at a time', async (t) => {
  const everywhere: Locator = {
    ...LOCATOR,
    locate: () => PLACES[BERLIN],
    explain: (address) => ({ address, kind: 'public', place: PLACES[BERLIN], prefix: 20 }),
  };
  const shares = [0, 0.2, 0.5, 0.9].map((shed) => {
    const network = { regions: [{ ...FRA, shed }, IAD] };
    const steering = createSteering({ locator: everywhere, network: () => network });
    const away = new Set<string>();
    for (let i = 0; i < 20_000; i += 1) {
      const address = formatIpv4(0x0b000000 + i * 256);
      const decision = steering.where(address, monotonicMs(0));
      if (decision.chosen?.name !== 'iad') continue;
      away.add(address);
      if (shed > 0 && i % 100 === 0) {
        t.equal(decision.reason, 'fallback');
        t.equal(decision.regions[1]?.state, 'full');
        t.equal(decision.prefix, 24, 'resolvers keep it for no more than is given away together');
        t.equal(steering.where(address.replace(/\.0$/, '.77'), monotonicMs(0)).chosen?.name, 'iad');
      }
    }
    return away;
  });
  for (const [index, wanted] of [0, 0.2, 0.5, 0.9].entries()) {
    const away = shares[index] as Set<string>;
    t.ok(Math.abs(away.size / 20_000 - wanted) < 0.02, `${away.size} of 20000, wanted ${wanted}`);
  }
  t.ok(
    (shares[1] as Set<string>).isSubsetOf(shares[2] as Set<string>),
    'who was given away stays away when it gets worse',
  );
});

test('100,000 random addresses of a real city database are steered as brute force steers them', async (t) => {
  const locator = await openLocator({ file: '', databases: cityDatabases() });
  const { ipv4, ipv6 } = sampledNetworks();
  t.teardown(() => locator.close());
  const regions = Object.entries(CITIES).map(([name, coordinates]) => regionOf(name, { coordinates }));
  const network = { regions };
  const steering = createSteering({ locator, network: () => network });
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state;
  };
  const chosen = new Map<string, number>();
  let asked = 0;
  let wrong = 0;
  while (asked < 100_000) {
    const sample = asked % 4 === 3 ? ipv6 : ipv4;
    const [network] = sample[random() % sample.length] as SampledNetwork;
    const address = addressIn(network, random());
    const place = locator.locate(address);
    if (place?.coordinates === undefined) continue;
    asked += 1;
    const order = regions
      .map(({ name, coordinates }) => ({ name, km: haversineKm(place.coordinates as Point, coordinates as Point) }))
      .sort((a, b) => a.km - b.km);
    const decision = steering.where(address, monotonicMs(0));
    const isSame = decision.regions.every(({ name, distanceKm }, index) => {
      const expected = order[index];
      return expected?.name === name && Math.abs(expected.km - (distanceKm as number)) < 0.001;
    });
    if (!isSame) wrong += 1;
    chosen.set(order[0]?.name as string, (chosen.get(order[0]?.name as string) ?? 0) + 1);
  }
  t.comment(`${asked} addresses, ${wrong} wrong: ${[...chosen].map(([name, n]) => `${name} ${n}`).join(', ')}`);
  t.equal(wrong, 0);
  t.equal(chosen.size, regions.length, 'every region is the nearest one for somebody');
});

/** The network's first address, with these bits behind its prefix. */
function addressIn(network: string, bits: number): string {
  const [first = '', prefix] = network.split('/');
  if (first.includes(':')) return first.replace(/:0$/, `:${(bits & 0xffff).toString(16)}`);
  const number = first.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  return formatIpv4(number + (bits % 2 ** (32 - Number(prefix))));
}

type Point = readonly [number, number];

/** Another formula than that of the code: https://en.wikipedia.org/wiki/Haversine_formula */
function haversineKm([lat1, lon1]: Point, [lat2, lon2]: Point): number {
  const rad = Math.PI / 180;
  const h =
    Math.sin(((lat2 - lat1) * rad) / 2) ** 2 +
    Math.cos(lat1 * rad) * Math.cos(lat2 * rad) * Math.sin(((lon2 - lon1) * rad) / 2) ** 2;
  return 2 * 6_371.0088 * Math.asin(Math.sqrt(h));
}

test(`a visitor from San Francisco is sent to iad, the nearest of three regions`, async (t) => {
  t.equal(decide([FRA, IAD, SIN], SAN_FRANCISCO).chosen?.name, 'iad');
});
