/** Contradictions in the config of a DNS server. */
import { test } from 'tap';
import { regionOf, regionYaml } from '../../geo/dns/world.ts';
import { problemsOf } from '../refusal.ts';

const zone = (name: string) => `\n    - { name: ${name}, nameservers: [{ name: ns.other.example }] }`;

for (const { what, zones, more = '', keys } of [
  { what: 'one zone', zones: zone('example.com'), keys: [] },
  { what: 'a zone and one within it', zones: zone('example.com') + zone('a.example.com'), keys: [] },
  { what: 'a zone twice', zones: zone('example.com').repeat(3), keys: ['dns.zones[1].name', 'dns.zones[2].name'] },
  {
    what: 'networks that are not limited and are none',
    zones: zone('example.com'),
    more: '  rate_limit: { exempt: [10.0.0.0/8, 10.0.0.0/33, ns.example, "10.1"] }',
    keys: [1, 2, 3].map((index) => `dns.rate_limit.exempt[${index}]`),
  },
]) {
  test(`${what}: ${keys.length} problems`, async (t) => {
    const problems = problemsOf(() => regionOf(t.testdir(), regionYaml({ zone: zones, more })));
    t.same(
      problems.map(({ key }) => key),
      keys,
    );
  });
}
