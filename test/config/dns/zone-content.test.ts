/** Zones in the config: contradictions in them, and values of another form, each with its place. */
import { test } from 'tap';
import { regionOf, regionYaml } from '../../geo/dns/world.ts';
import { placesOf, problemsOf } from '../refusal.ts';

const zone = (records: string, more = ''): string => `
    - name: example.com
      nameservers: [{ name: ns.other.example }]
${more}
      records:
${records}
`;

for (const { what, yaml, place, says, fix } of [
  {
    what: 'an unknown type',
    yaml: zone('        - { name: a, type: WHAT, values: [x] }'),
    place: 'dns.zones[0].records[0].type',
    says: /cannot hold the type WHAT/,
  },
  ...['TYPE65', 'TYPE16'].map((type) => ({
    what: `${type}, which has a name`,
    yaml: zone(`        - { name: a, type: ${type}, values: ['\\# 0'] }`),
    place: 'dns.zones[0].records[0].type',
    says: /cannot hold the type TYPE/,
    fix: /Write `(?:HTTPS|TXT)`/,
  })),
  {
    what: 'an SOA',
    yaml: zone("        - { name: '@', type: SOA, values: [x] }"),
    place: 'dns.zones[0].records[0].type',
    says: /cannot hold/,
  },
  {
    what: 'a value of another form',
    yaml: zone('        - { name: a, type: A, values: [1.2.3.4, x] }'),
    place: 'dns.zones[0].records[0].values[1]',
    says: /no value of the type A/,
  },
  {
    what: 'a name that is none',
    yaml: zone('        - { name: a..b, type: A, values: [1.2.3.4] }'),
    place: 'dns.zones[0].records[0].name',
    says: /is not a name/,
  },
  {
    what: 'a name of another zone',
    yaml: zone('        - { name: a.example.org., type: A, values: [1.2.3.4] }'),
    place: 'dns.zones[0].records[0].name',
    says: /not in the zone/,
  },
  {
    what: 'an alias of the zone itself',
    yaml: zone("        - { name: '@', type: CNAME, values: [x] }"),
    place: 'dns.zones[0].records[0]',
    says: /cannot be an alias/,
  },
  {
    what: 'an alias beside other records',
    yaml: zone('        - { name: a, type: CNAME, values: [x] }\n        - { name: a, type: TXT, values: [x] }'),
    place: 'dns.zones[0].records[0]',
    says: /cannot be an alias/,
  },
  {
    what: 'an alias that is steered',
    yaml: zone('        - { name: a, type: CNAME, values: [x] }', '      steer: [a]'),
    place: 'dns.zones[0].records[0]',
    says: /is steered/,
  },
  {
    what: 'addresses of what is steered by a site',
    yaml: zone('        - { name: www, type: A, values: [1.2.3.4] }'),
    place: 'dns.zones[0].records[0]',
    says: /is steered/,
  },
  {
    what: 'name servers of the zone as records',
    yaml: zone("        - { name: '@', type: NS, values: [x] }"),
    place: 'dns.zones[0].records[0]',
    says: /nameservers/,
  },
  {
    what: 'what is below a delegation',
    yaml: zone('        - { name: a, type: NS, values: [x] }\n        - { name: b.a, type: TXT, values: [x] }'),
    place: 'dns.zones[0].records[1]',
    says: /handed to other/,
  },
  {
    what: 'two ttls of one set',
    yaml: zone('        - { name: a, type: TXT, values: [x] }\n        - { name: a, type: TXT, values: [y], ttl: 1m }'),
    place: 'dns.zones[0].records[1]',
    says: /another ttl/,
  },
  {
    what: 'a set that no answer can hold',
    yaml: zone(
      `        - { name: a, type: TXT, values: [${Array.from({ length: 10 }, (_, i) => `'${String(i).repeat(2_000)}'`)}] }`,
    ),
    place: 'dns.zones[0].records[0]',
    says: /more than 16384 bytes/,
  },
  {
    what: 'a name server in the zone without address',
    yaml: zone('        []').replace('ns.other.example', 'ns.example.com'),
    place: 'dns.zones[0].nameservers[0]',
    says: /nothing says where/,
  },
  {
    what: 'an address of a name server elsewhere',
    yaml: zone('        []').replace('ns.other.example', 'ns.other.example, addresses: [192.0.2.1]'),
    place: 'dns.zones[0].nameservers[0].addresses',
    says: /another zone/,
  },
  {
    what: 'a name server that is steered',
    yaml: zone('        []').replace('ns.other.example', 'www.example.com'),
    place: 'dns.zones[0].nameservers[0].name',
    says: /is steered/,
  },
  {
    what: 'a steered name elsewhere',
    yaml: zone('        []', '      steer: [a.example.org.]'),
    place: 'dns.zones[0].steer[0]',
    says: /not in the zone/,
  },
  {
    what: 'a zone twice',
    yaml: zone('        []') + zone('        []').slice(1),
    place: 'dns.zones[1].name',
    says: /already/,
  },
]) {
  test(`refused: ${what}`, async (t) => {
    const directory = t.testdir();
    const problems = problemsOf(() => regionOf(directory, regionYaml({ zone: yaml })));
    t.match(placesOf(directory, problems)[0], new RegExp(`${place.replace(/[[\].]/g, '\\$&')}$`));
    t.match(problems[0]?.message, says);
    if (fix) t.match(problems[0]?.fix, fix);
  });
}
