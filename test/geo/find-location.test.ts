/** One address in several databases: what they say together, and how many bits of the address it holds for. */
import fc from 'fast-check';
import { test } from 'tap';
import { databaseOf } from '../../geo/database.ts';
import { databaseSet, explainLocation, findLocation } from '../../geo/find-location.ts';
import { formatIpv4, parseAddress } from '../../lib/address.ts';
import { type MmdbOptions, mmdb } from './mmdb.ts';

const setOf = (...files: readonly MmdbOptions[]) =>
  databaseSet(files.map((file, index) => databaseOf(mmdb(file), String(index))));

test('an answer holds for every address with the same leading bits, and two addresses of one place share it', async (t) => {
  const network = fc.tuple(fc.ipV4(), fc.integer({ min: 3, max: 26 }));
  const file = fc.record({
    ipVersion: fc.constantFrom(4 as const, 6 as const),
    networks: fc.array(network, { minLength: 1, maxLength: 5 }),
  });
  let known = 0;
  fc.assert(
    fc.property(fc.array(file, { minLength: 1, maxLength: 3 }), fc.nat(), (files, random) => {
      const set = setOf(
        ...files.map(({ ipVersion, networks }, index) => ({
          ipVersion,
          networks: [['11.0.0.0', 8] as const, ...networks]
            .toSorted(([, a], [, b]) => a - b)
            .map(([text, bits], at) => [`${text}/${bits}`, { country_code: 'DE', city: `${index} ${at}` }] as const),
        })),
      );
      for (const [text] of files.flatMap(({ networks }) => networks)) {
        const { place, prefix, kind } = explainLocation(set, text);
        if (kind !== 'public') continue;
        known += 1;
        const bits = parseAddress(text)?.ipv4 ?? 0;
        const other = prefix === 32 ? bits : bits ^ (random % 2 ** (32 - prefix));
        const near = formatIpv4(other >>> 0);
        if (parseAddress(near)?.kind !== 'public') continue;
        t.same(explainLocation(set, near).place, place, `${text} and ${near} share ${prefix} bits`);
        if (files.length === 1) t.equal(findLocation(set, text), findLocation(set, near), 'one object');
        t.same(findLocation(set, `::ffff:${text}`), place, 'IPv4 written as IPv6 is IPv4');
      }
    }),
    { numRuns: 150 },
  );
  t.ok(known > 50, `${known} addresses`);
});

test('the first database that knows a fact is believed, and a city goes with its country', async (t) => {
  const set = setOf(
    { networks: [['11.0.0.0/8', { asn: 1 }]] },
    { networks: [['11.0.0.0/16', { country_code: 'DE' }]] },
    { networks: [['11.0.0.0/12', { country_code: 'AT', city: 'Wien' }]] },
  );
  t.match(findLocation(set, '11.0.0.1'), { asn: 1, country: 'DE', prefix: 16 });
  t.equal(findLocation(set, '11.0.0.1')?.city, undefined);
  t.match(findLocation(set, '11.1.0.1'), { asn: 1, country: 'AT', city: 'Wien', prefix: 16 });
});

for (const { address, kind, canonical = address } of [
  { address: '10.0.0.1', kind: 'private' },
  { address: '::1', kind: 'loopback' },
  { address: '::ffff:127.0.0.1', kind: 'loopback', canonical: '127.0.0.1' },
  { address: '2001:DB8:0:0::1', kind: 'documentation', canonical: '2001:db8::1' },
  { address: '010.1.1.1', kind: 'malformed' },
  { address: '11.1.1.1%eth0', kind: 'malformed' },
  { address: '', kind: 'malformed' },
]) {
  test(`${JSON.stringify(address)} is ${kind}, and has no place whatever a database says`, async (t) => {
    const set = setOf({ ipVersion: 6, networks: [['::/1', { country_code: 'DE' }]] });
    t.match(explainLocation(set, address), { address: canonical, kind, place: undefined });
    t.equal(findLocation(set, address), undefined);
  });
}

test('an IPv4 address within an IPv6 one counts, with the bits before it', async (t) => {
  const set = setOf({ networks: [['11.22.0.0/16', { country_code: 'DE' }]] });
  t.match(explainLocation(set, '64:ff9b::11.22.3.4'), { place: { country: 'DE' }, prefix: 112 });
  t.match(explainLocation(set, '2002:b16:304::1'), { place: { country: 'DE' }, prefix: 32 });
  t.equal(findLocation(set, '2a00::1'), undefined, 'a file for IPv4 is not asked about others');
});
