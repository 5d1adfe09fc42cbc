/** Locations in records of databases: both layouts, and values that are not believed. */
import fc from 'fast-check';
import { test } from 'tap';
import { CENTRES } from '../../geo/centres.ts';
import { CONTINENTS } from '../../geo/location.ts';
import { type Facts, factsOf, locationOf, merged } from '../../geo/record.ts';

for (const { what, record, facts } of [
  { what: 'a flat country', record: { country_code: 'DE' }, facts: { country: 'DE' } },
  { what: 'a nested country', record: { country: { iso_code: 'DE' } }, facts: { country: 'DE' } },
  { what: 'a country by the name of its key', record: { country: 'DE' }, facts: { country: 'DE' } },
  {
    what: 'the country where an anycast address is registered',
    record: { registered_country: { iso_code: 'US' } },
    facts: { country: 'US' },
  },
  {
    what: 'a country before the one where it is registered',
    record: { country: { iso_code: 'FR' }, registered_country: { iso_code: 'US' } },
    facts: { country: 'FR' },
  },
  { what: 'no country that is none', record: { country_code: 'ZZ' }, facts: undefined },
  { what: 'no country in words', record: { country_code: 'Germany' }, facts: undefined },
  { what: 'no country in lower case', record: { country_code: 'de' }, facts: undefined },
  { what: 'a number with AS', record: { asn: 'AS64500' }, facts: { asn: 64_500 } },
  { what: 'a number as text', record: { asn: '64500' }, facts: { asn: 64_500 } },
  { what: 'no number 0', record: { asn: 0 }, facts: undefined },
  { what: 'no number of 33 bits', record: { asn: 2 ** 32 }, facts: undefined },
  { what: 'no fraction of a number', record: { asn: 1.5 }, facts: undefined },
  { what: 'no number in other words', record: { asn: 'AS 1' }, facts: undefined },
  {
    what: 'coordinates to four decimals',
    record: { latitude: 1.000_04, longitude: -180 },
    facts: { coordinates: [1, -180] },
  },
  { what: 'no half of coordinates', record: { latitude: 1 }, facts: undefined },
  { what: 'no coordinates off the globe', record: { location: { latitude: 90.1, longitude: 0 } }, facts: undefined },
  { what: 'no coordinates that are NaN', record: { latitude: Number.NaN, longitude: 0 }, facts: undefined },
  { what: 'a city in English', record: { city: { names: { de: 'Köln', en: 'Cologne' } } }, facts: { city: 'Cologne' } },
  { what: 'no city in other languages only', record: { city: { names: { de: 'Köln' } } }, facts: undefined },
  { what: 'a city without line breaks', record: { city: 'a\r\nb' }, facts: { city: 'a  b' } },
  {
    what: 'a state by its code',
    record: { subdivisions: [{ iso_code: 'BY', names: { en: 'Bavaria' } }] },
    facts: { subdivision: 'BY' },
  },
  {
    what: 'a state by its name',
    record: { subdivisions: [{ names: { en: 'Bavaria' } }] },
    facts: { subdivision: 'Bavaria' },
  },
  { what: 'a flat state', record: { state1: 'Bavaria' }, facts: { subdivision: 'Bavaria' } },
  { what: 'a flat continent', record: { continent_code: 'EU' }, facts: { continent: 'EU' } },
  { what: 'no continent that is none', record: { continent: { code: 'XX' } }, facts: undefined },
  { what: 'nothing of a place', record: { connection_type: 'Cellular' }, facts: undefined },
]) {
  test(`a record tells of ${what}`, async (t) => {
    t.strictSame(factsOf(record), facts);
  });
}

const KEYS = [
  ...['country', 'country_code', 'registered_country', 'continent', 'continent_code', 'location', 'latitude'],
  ...['longitude', 'asn', 'autonomous_system_number', 'as_name', 'city', 'subdivisions', 'state1', 'region', 'names'],
  ...['en', 'iso_code', 'code'],
];

test('whatever a record holds, what is read of it can go into a header', async (t) => {
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom<unknown>('DE', 'EU', 'AS1', 1, -91, 48.13743, Number.NaN, null, true, '\r\nX-Evil: 1'),
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.array(tie('value'), { maxLength: 2 }),
      fc.dictionary(fc.constantFrom(...KEYS), tie('value'), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(value, (record) => {
      const facts = factsOf(record);
      if (facts === undefined) return;
      t.ok(Object.keys(facts).length > 0);
      const { country = 'DE', continent = 'EU', coordinates: [lat, lon] = [0, 0], asn = 1 } = facts;
      t.match(country, /^[A-Z]{2}$/);
      t.ok(CONTINENTS.includes(continent));
      t.ok(Math.abs(lat) <= 90 && Math.abs(lon) <= 180 && asn > 0 && asn < 2 ** 32);
      for (const name of [facts.city, facts.subdivision, facts.asOrganization]) {
        if (name === undefined) continue;
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
        t.notMatch(name, /[\0-\x1f\x7f]/);
        t.ok(name.length > 0 && name.length <= 200);
      }
    }),
    { numRuns: 3_000 },
  );
});

for (const { a, b, both } of [
  { a: { country: 'DE' }, b: { asn: 1, country: 'DE', city: 'Bonn' }, both: { country: 'DE', asn: 1, city: 'Bonn' } },
  { a: { country: 'DE' }, b: { asn: 1, country: 'AT', city: 'Wien' }, both: { country: 'DE', asn: 1 } },
  { a: { asn: 1 }, b: { asn: 2, city: 'Bonn' }, both: { asn: 1, city: 'Bonn' } },
  { a: { city: 'Bonn' }, b: { country: 'AT' }, both: { city: 'Bonn', country: 'AT' } },
] as { a: Facts; b: Facts; both: Facts }[]) {
  test(`${JSON.stringify(a)} and ${JSON.stringify(b)} are ${JSON.stringify(both)} together`, async (t) => {
    t.same(merged(a, b), both);
  });
}

test('a country gives its continent and its centre, unless the record has better ones', async (t) => {
  t.same(locationOf({ country: 'DE' }, 8), { country: 'DE', continent: 'EU', coordinates: CENTRES['DE'], prefix: 8 });
  const known: Facts = { country: 'DE', continent: 'AS', coordinates: [1, 2] };
  t.same(locationOf(known, 0), { ...known, prefix: 0 });
  t.same(locationOf({ country: 'QQ' }, 3), { country: 'QQ', prefix: 3 }, 'a country that is not known');
  t.ok(Object.isFrozen(locationOf({}, 1)));
});
