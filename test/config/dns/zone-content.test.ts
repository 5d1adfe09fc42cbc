/** Zones in the config: names and values as in zone files, and rejected ones. */
import fc from 'fast-check';
import { test } from 'tap';
import { formatName, isWithin, labelsOf, parseName } from '../../../lib/dns/name.ts';
import { recordType } from '../../../lib/dns/record-data.ts';
import { regionOf, regionYaml } from '../../geo/dns/world.ts';
import { fuzzer } from '../../support/fuzz.ts';
import { placesOf, problemsOf } from '../refusal.ts';

const fuzz = fuzzer(import.meta.filename);

const hex = (type: string, value: string): string | undefined =>
  recordType(type)
    ?.parse(value, parseName('example.com.') ?? '')
    ?.map((piece) => ('name' in piece ? `<${formatName(piece.name)}>` : Buffer.from(piece).toString('hex')))
    .join('');

test('names are read', async (t) => {
  const origin = parseName('example.com.') ?? '';
  for (const [text, expected] of [
    ['@', 'example.com.'],
    ['www', 'www.example.com.'],
    ['WWW.Other.Example.', 'www.other.example.'],
    ['*.a', '*.a.example.com.'],
    ['_sip._udp', '_sip._udp.example.com.'],
    ['.', '.'],
    ['', undefined],
    ['a..b', undefined],
    ['-a', undefined],
    ['a b', undefined],
    ['a\\.b', undefined],
    ['ä', undefined],
    ['x'.repeat(63), `${'x'.repeat(63)}.example.com.`],
    ['x'.repeat(64), undefined],
    [`${'x.'.repeat(120)}x`, `${'x.'.repeat(121)}example.com.`],
    ['x.'.repeat(121).concat('x'), undefined],
  ] as const) {
    const key = parseName(text, origin);
    t.equal(key === undefined ? undefined : formatName(key), expected, text.slice(0, 20));
  }
  t.equal(labelsOf(origin), 2);
  t.ok(isWithin(parseName('a.b', origin) ?? '', origin));
  t.notOk(isWithin(parseName('badexample.com.') ?? '', origin), 'by labels, not by letters');
  t.notOk(isWithin(parseName('com.') ?? '', origin));
});

test('values are read', async (t) => {
  for (const [type, value, expected] of [
    ['A', '192.0.2.1', 'c0000201'],
    ['A', '192.0.2', undefined],
    ['A', '2001:db8::1', undefined],
    ['AAAA', '2001:db8::1', '20010db8000000000000000000000001'],
    ['AAAA', 'fe80::1%eth0', undefined],
    ['MX', '10 mail', '000a<mail.example.com.>'],
    ['MX', '65536 mail', undefined],
    ['MX', 'mail', undefined],
    ['MX', '10 mail more', undefined],
    ['CNAME', 'www.other.example.', '<www.other.example.>'],
    ['SRV', '1 2 3 @', '000100020003076578616d706c6503636f6d00'],
    ['TXT', 'plain words', '0b706c61696e20776f726473'],
    ['TXT', '"a" "b"', '01610162'],
    ['TXT', '"\\"\\\\\\255"', '03225cff'],
    ['TXT', '""', '00'],
    ['TXT', '"\\999"', undefined],
    ['TXT', '"open', undefined],
    ['TXT', 'ä', undefined],
    ['TXT', 'x'.repeat(300), `ff${'78'.repeat(255)}2d${'78'.repeat(45)}`],
    ['CAA', '0 issue "ca.example"', '0005697373756563612e6578616d706c65'],
    ['CAA', '0 issue ";"', '000569737375653b'],
    ['CAA', '256 issue "x"', undefined],
    ['TLSA', '3 1 1 00ff', '03010100ff'],
    ['TLSA', '4 1 1 00ff', undefined],
    ['SSHFP', `4 2 ${'ab'.repeat(32)}`, `0402${'ab'.repeat(32)}`],
    ['SSHFP', '4 2 abab', undefined],
    ['DS', '60485 13 2 00ff', 'ec450d0200ff'],
    ['HTTPS', '\\# 3 000100', '000100'],
    ['HTTPS', '\\# 4 000100', undefined],
    ['TYPE4242', '\\# 0', ''],
    ['TYPE4242', '\\# 2 ab cd', 'abcd'],
  ] as const) {
    t.equal(hex(type, value), expected, `${type} ${value.slice(0, 30)}`);
  }
  for (const type of ['SOA', 'ANY', 'OPT', 'DNAME', 'TYPE1', 'TYPE6', 'TYPE41', 'TYPE255', 'TYPE0', 'TYPE70000']) {
    t.equal(recordType(type), undefined, `${type} cannot stand in a zone`);
  }
  fuzz(
    'values are read',
    fc.property(
      fc.constantFrom('TXT', 'CAA', 'MX', 'SRV', 'TLSA', 'SSHFP', 'DS', 'HTTPS', 'A', 'AAAA', 'NS'),
      fc.string({ maxLength: 80 }),
      (type, value) => {
        hex(type, value); // never throws
      },
    ),
    { seed: 3, numRuns: 5_000 },
  );
});

const zone = (records: string, more = ''): string => `
    - name: example.com
      nameservers: [{ name: ns.other.example }]
${more}
      records:
${records}
`;

for (const { what, yaml, place, says } of [
  {
    what: 'an unknown type',
    yaml: zone('        - { name: a, type: WHAT, values: [x] }'),
    place: 'dns.zones[0].records[0].type',
    says: /cannot hold the type WHAT/,
  },
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
  });
}
