/** Facts about the location of visitors: their header fields, and the one that is in the key. */
import fc from 'fast-check';
import { test } from 'tap';
import { siteGeoSchema } from '../../config/schema/site-geo.ts';
import { GEO_FACTS, GEO_HEADERS, GEO_KEYS, type GeoFact, geoFields, geoKeyField } from '../../config/visitor-facts.ts';

function site(headers: Partial<Record<GeoFact, true | string>>, geo?: GeoFact) {
  return { geo: siteGeoSchema.parse({ headers }), key: { geo } };
}

test('no fact is sent to an origin that asks for none', async (t) => {
  t.equal(geoFields(site({})).size, 0);
  t.equal(geoKeyField(site({})), undefined);
});

for (const fact of GEO_FACTS) {
  test(`${fact} has its usual header, or the one that the origin knows`, async (t) => {
    t.strictSame([...geoFields(site({ [fact]: true }))], [[GEO_HEADERS[fact], fact]]);
    t.strictSame([...geoFields(site({ [fact]: 'X-Fact' }))], [['X-Fact', fact]]);
  });
  test(`${fact} in the key is sent, in the header that is in the key`, async (t) => {
    t.strictSame([...geoFields(site({}, fact))], [[GEO_HEADERS[fact], fact]]);
    t.equal(geoKeyField(site({}, fact)), GEO_HEADERS[fact]);
    t.equal(geoKeyField(site({ [fact]: 'X-Fact' }, fact)), 'X-Fact');
    t.equal(geoKeyField(site({ [fact]: true }, fact)), GEO_HEADERS[fact]);
  });
}

test('a fact that is in the key is always sent, under the name by which the key has it', async (t) => {
  const named = fc.option(fc.oneof(fc.constant(true), fc.stringMatching(/^X-[A-Za-z]{1,8}$/)), { nil: undefined });
  const headers = fc.record(Object.fromEntries(GEO_FACTS.map((fact) => [fact, named])));
  fc.assert(
    fc.property(headers, fc.constantFrom(...GEO_KEYS), (chosen, key) => {
      const site = { geo: { ...siteGeoSchema.parse({}), headers: chosen as never }, key: { geo: key } };
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
