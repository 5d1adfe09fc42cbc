import { test } from 'tap';
import { siteGeoSchema } from '../../config/schema/site-geo.ts';
import { GEO_FACTS, GEO_HEADERS, type GeoFact, geoFields, geoKeyField } from '../../config/visitor-facts.ts';

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
