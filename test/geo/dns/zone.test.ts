/** Lookups in a zone, beside the words of RFC 1034 and RFC 4592: random zones, and the example of the RFC. */
import fc from 'fast-check';
import { test } from 'tap';
import { zoneSchema } from '../../../config/dns/schema.ts';
import { Zone, Zones } from '../../../geo/dns/zone.ts';
import { formatName, parseName } from '../../../lib/dns/name.ts';
import { TYPE } from '../../../lib/dns/numbers.ts';

const APEX = 'example.com';

function zoneOf(records: readonly { name: string; type: string; values: string[] }[], more: object = {}): Zone {
  const config = zoneSchema.parse({ name: APEX, nameservers: [{ name: 'ns.other.example' }], records, ...more });
  let id = 0;
  return new Zone(config, [], () => ++id);
}

const key = (text: string): string => parseName(`${text}.`) ?? '';

function found(zone: Zone, text: string): string {
  const lookup = zone.lookup(key(text));
  if (lookup.kind === 'missing') return 'missing';
  return `${lookup.kind} ${formatName(lookup.kind === 'found' ? lookup.name.key : lookup.cut.key)}`;
}

test('RFC 4592, section 2.2.1: the example of wildcards', async (t) => {
  const zone = zoneOf([
    { name: '*', type: 'TXT', values: ['this is a wildcard'] },
    { name: '*', type: 'MX', values: ['10 host1'] },
    { name: 'sub.*', type: 'TXT', values: ['this is not a wildcard'] },
    { name: 'host1', type: 'A', values: ['192.0.2.1'] },
    { name: '_ssh._tcp.host1', type: 'SRV', values: ['1 2 3 @'] },
    { name: '_ssh._tcp.host2', type: 'SRV', values: ['1 2 3 @'] },
    { name: 'subdel', type: 'NS', values: ['ns.other.example.'] },
  ]);
  for (const [name, what] of [
    ['host3.example.com', 'found *.example.com.'],
    ['foo.bar.example.com', 'found *.example.com.'],
    ['host1.example.com', 'found host1.example.com.'],
    ['sub.*.example.com', 'found sub.*.example.com.'],
    ['_telnet._tcp.host1.example.com', 'missing'],
    ['host.subdel.example.com', 'handed-on subdel.example.com.'],
    ['ghost.*.example.com', 'missing'],
    ['host2.example.com', 'found host2.example.com.'],
  ] as const) {
    t.equal(found(zone, name), what, name);
  }
});

test('random zones are looked up as the words of the RFC say', async (t) => {
  const label = fc.constantFrom('a', 'b', 'c', '*');
  const path = fc.array(label, { minLength: 1, maxLength: 4 });
  const record = fc.record({ path, isCut: fc.nat({ max: 5 }).map((n) => n === 0) });
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 8 }),
      fc.array(path, { minLength: 1, maxLength: 8 }),
      (records, queries) => {
        const owned = records.filter(({ isCut, path: [first] }) => !(isCut && first === '*'));
        const zone = zoneOf(
          owned.map(({ path: labels, isCut }) =>
            isCut
              ? { name: labels.join('.'), type: 'NS', values: ['ns.other.example.'] }
              : { name: labels.join('.'), type: 'TXT', values: ['x'] },
          ),
        );
        const cuts = new Set(owned.filter(({ isCut }) => isCut).map(({ path: labels }) => labels.join('.')));
        const exists = new Set(owned.flatMap(({ path: labels }) => labels.map((_, at) => labels.slice(at).join('.'))));
        exists.add('');
        for (const query of [...queries, ...owned.map(({ path: labels }) => labels)]) {
          const above = query.map((_, at) => query.slice(at).join('.'));
          const cut = above.findLast((name) => cuts.has(name));
          const encloser = [...above, ''].find((name) => exists.has(name)) ?? '';
          const wildcard = encloser === '' ? '*' : `*.${encloser}`;
          const name = query.join('.');
          const expected =
            cut !== undefined
              ? `handed-on ${cut}.${APEX}.`
              : exists.has(name)
                ? `found ${name}.${APEX}.`
                : exists.has(wildcard)
                  ? `found ${wildcard}.${APEX}.`
                  : 'missing';
          t.equal(found(zone, `${name}.${APEX}`), expected, name);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});

test('names have numbers of their own, those that only have names below them as well', async (t) => {
  const zone = zoneOf([{ name: 'a.b.c', type: 'A', values: ['192.0.2.1'] }]);
  const ids = ['a.b.c', 'b.c', 'c'].map((name) => {
    const lookup = zone.lookup(key(`${name}.${APEX}`));
    return lookup.kind === 'found' ? lookup.name.id : -1;
  });
  t.equal(new Set([...ids, zone.id]).size, 4);
});

test('an address of a name server is found though its name is handed to others', async (t) => {
  const zone = zoneOf([
    { name: 'child', type: 'NS', values: ['ns.child', 'child'] },
    { name: 'ns.child', type: 'A', values: ['192.0.2.1'] },
    { name: 'child', type: 'A', values: ['192.0.2.2'] },
  ]);
  t.ok(zone.glueOf(key('ns.child.example.com'))?.sets.has(TYPE.A));
  t.ok(zone.glueOf(key('child.example.com'))?.sets.has(TYPE.A));
  t.equal(zone.glueOf(key('ns.other.example')), undefined);
  t.equal(zone.glueOf(key('x.child.example.com')), undefined);
});

for (const { zones, name, zone } of [
  { zones: ['example.com', 'a.example.com'], name: 'x.a.example.com', zone: 'a.example.com.' },
  { zones: ['example.com', 'a.example.com'], name: 'xa.example.com', zone: 'example.com.' },
  { zones: ['example.com'], name: 'com', zone: undefined },
  { zones: ['example.com'], name: 'example.com', zone: 'example.com.' },
  { zones: ['example.com'], name: 'badexample.com', zone: undefined },
  { zones: ['com', 'a.b.c.d'], name: `${'x.'.repeat(60)}com`, zone: 'com.' },
]) {
  test(`of ${zones.join(' and ')}, ${name.slice(-20)} is in ${zone ?? 'none'}`, async (t) => {
    const configs = zones.map((own) => zoneSchema.parse({ name: own, nameservers: [{ name: 'ns.other.example' }] }));
    const apex = new Zones(configs, []).zoneOf(key(name))?.apex;
    t.equal(apex && formatName(apex), zone);
  });
}

test('an SOA has the primary, the mail address and the numbers of the config', async (t) => {
  for (const [hostmaster, mailbox] of [
    [undefined, '0a686f73746d6173746572'],
    ['dns.admin@example.net', '09646e732e61646d696e'],
    [`${'x'.repeat(70)}@example.net`, `3f${'78'.repeat(63)}`],
  ] as const) {
    const { soa, negativeTtlSeconds } = zoneOf([], { hostmaster, serial: 2 ** 32 - 1, negative_ttl: '2h', ttl: '1h' });
    const [primary, local, domain, numbers] = soa.data[0] ?? [];
    t.same(primary, { name: key('ns.other.example') });
    t.equal(Buffer.from(local as Uint8Array).toString('hex'), mailbox);
    t.same(domain, { name: key(hostmaster === undefined ? 'example.com' : 'example.net') });
    t.equal((numbers as Buffer).readUInt32BE(0), 2 ** 32 - 1);
    t.equal((numbers as Buffer).readUInt32BE(16), 7_200);
    t.equal(negativeTtlSeconds, 3_600, 'no longer than the SOA itself');
  }
});
