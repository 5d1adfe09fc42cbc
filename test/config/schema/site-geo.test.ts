/** Header fields with the location of visitors: their names, and the one that is in the key. */
import fc from 'fast-check';
import { test } from 'tap';
import {
  GEO_FACTS,
  GEO_HEADERS,
  GEO_KEYS,
  geoFields,
  geoKeyField,
  siteGeoSchema,
} from '../../../config/schema/site-geo.ts';

const none = siteGeoSchema.parse({});

for (const { headers, key, fields, keyField } of [
  { headers: {}, key: undefined, fields: {}, keyField: undefined },
  { headers: {}, key: 'country', fields: { 'CDN-Visitor-Country': 'country' }, keyField: 'CDN-Visitor-Country' },
  { headers: { country: true }, key: undefined, fields: { 'CDN-Visitor-Country': 'country' }, keyField: undefined },
  { headers: { country: 'X-C' }, key: 'country', fields: { 'X-C': 'country' }, keyField: 'X-C' },
  {
    headers: { city: 'X-City' },
    key: 'continent',
    fields: { 'CDN-Visitor-Continent': 'continent', 'X-City': 'city' },
    keyField: 'CDN-Visitor-Continent',
  },
] as const) {
  test(`headers ${JSON.stringify(headers)} and key ${key}: the origin gets ${Object.keys(fields).join(' and ') || 'none'}`, async (t) => {
    const site = { geo: siteGeoSchema.parse({ headers }), key: { geo: key } };
    t.same(Object.fromEntries(geoFields(site)), fields);
    t.equal(geoKeyField(site), keyField);
  });
}

test('a fact that is in the key is always sent, under the name by which the key has it', async (t) => {
  const named = fc.option(fc.oneof(fc.constant(true), fc.stringMatching(/^X-[A-Za-z]{1,8}$/)), { nil: undefined });
  const headers = fc.record(Object.fromEntries(GEO_FACTS.map((fact) => [fact, named])));
  fc.assert(
    fc.property(headers, fc.constantFrom(...GEO_KEYS), (chosen, key) => {
      const site = { geo: { ...none, headers: chosen as never }, key: { geo: key } };
      const fields = geoFields(site);
      const field = geoKeyField(site) as string;
      const isTaken = GEO_FACTS.some((fact) => fact !== key && chosen[fact] === field);
      t.ok(isTaken || fields.get(field) === key);
      for (const fact of GEO_FACTS) {
        if (chosen[fact] === true) t.equal(fields.get(GEO_HEADERS[fact]), fact);
      }
    }),
    { numRuns: 300 },
  );
});
