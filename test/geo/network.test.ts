/** The network as its files have it, and as it is sent between nodes. */
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'tap';
import { loadRegion } from '../../config/load.ts';
import { networkMessage, networkOf, publicAddresses, readNetwork } from '../../geo/network.ts';
import { LONG_AGO, monotonicMs } from '../../lib/clock.ts';
import { regionOf } from './region.ts';

test('a network survives serialising, and invalid ones are refused by name', async (t) => {
  const network = {
    regions: [
      regionOf('fra', { coordinates: [50.11, 8.68] }),
      { ...regionOf('iad'), health: 'recovering' as const, healthyAt: monotonicMs(5_000), shed: 0.5 },
      regionOf('x'),
    ],
  };
  const sent = JSON.parse(JSON.stringify(networkMessage(network, monotonicMs(1_000))));
  const read = readNetwork(sent, monotonicMs(50_000));
  t.equal(read.regions[1]?.healthyAt, monotonicMs(54_000), 'four seconds from now, on another clock');
  t.strictSame(
    readNetwork(JSON.parse(JSON.stringify(networkMessage(read, monotonicMs(50_000)))), monotonicMs(50_000)),
    read,
  );
  fc.assert(
    fc.property(
      fc.jsonValue(),
      fc.constantFrom('regions', 'name', 'edges', 'weight', 'health', 'shed'),
      (value, key) => {
        const broken = JSON.parse(JSON.stringify(sent));
        if (key === 'regions') broken.regions = value;
        else broken.regions[0][key] = value;
        try {
          readNetwork(broken, monotonicMs(0));
          return true;
        } catch (error) {
          return error instanceof TypeError;
        }
      },
    ),
  );
});

const SITES = "sites: [{ name: s, hosts: ['*'], origin: { servers: [{ url: 'http://o.example' }] } }]\n";

for (const { what, geo } of [
  { what: 'nothing said', geo: '{}' },
  { what: 'the least of everything', geo: '{ weight: 0.01, min_health: 0, recovery: 0s }' },
  {
    what: 'the most of everything',
    geo: `{ weight: 100, min_health: 1, recovery: 99999d, countries: [${Array(250).fill('DE').join(', ')}] }`,
  },
  { what: 'flags', geo: '{ default: true, drained: true, continents: [EU, NA, AF, AN, AS, OC, SA] }' },
]) {
  test(`whatever a file may say of a region is read by other nodes: ${what}`, async (t) => {
    const edges = Array.from(
      { length: 256 },
      (_, i) => `{ name: e${i}, listen: '0.0.0.0:80', tier: '10.0.${i}.1:81' }`,
    );
    const yaml = `region: fra\ntier_secret: 0123456789abcdef\nedges: [${edges.join(', ')}]\ngeo: ${geo}\n${SITES}`;
    const file = join(t.testdir({ 'fra.yaml': yaml }), 'fra.yaml');
    const network = networkOf([loadRegion(file, {})]);
    const now = monotonicMs(1_000);
    const read = readNetwork(JSON.parse(JSON.stringify(networkMessage(network, now))), now);
    t.same(read, { regions: network.regions.map((region) => ({ ...region, healthyAt: now })) });
    t.equal(network.regions[0]?.healthyAt, LONG_AGO);
  });
}

for (const { listen, named = [], addresses } of [
  { listen: '0.0.0.0:80', addresses: [] },
  { listen: '[::]:80', addresses: [] },
  { listen: 'edge.example:80', addresses: [] },
  { listen: '192.0.2.1:80', addresses: ['192.0.2.1'] },
  { listen: '[2001:DB8::0:1]:80', addresses: ['2001:db8::1'] },
  { listen: '192.0.2.1:80', named: ['198.51.100.1', '2001:DB8::1'], addresses: ['198.51.100.1', '2001:db8::1'] },
]) {
  test(`visitors reach ${listen} with public ${named.join() || 'left out'} at ${addresses.join() || 'no address that is known'}`, async (t) => {
    t.same(publicAddresses({ listen, public: named }), addresses);
  });
}

for (const { listen, named = [], probe } of [
  { listen: '0.0.0.0:80', probe: '10.0.0.1:81' },
  { listen: '192.0.2.1:0', probe: '10.0.0.1:81' },
  { listen: '192.0.2.1:80', probe: '192.0.2.1:80' },
  { listen: '0.0.0.0:443', named: ['2001:db8::1'], probe: '[2001:db8::1]:443' },
]) {
  test(`an edge that listens on ${listen} with public ${named.join() || 'left out'} is probed at ${probe}`, async (t) => {
    const edge = { name: 'e', listen, public: named, tier: '10.0.0.1:81' };
    const geo = {
      weight: 1,
      countries: [],
      continents: [],
      default: false,
      drained: false,
      min_health: 0,
      recovery: 0,
    };
    const network = networkOf([
      { region: 'a', geo, edges: [edge] },
      { region: 'b', geo, edges: [] },
    ] as never);
    t.equal(network.regions.length, 1, 'visitors are not sent to a region without edges');
    t.equal(network.regions[0]?.edges[0]?.probe, probe);
  });
}
