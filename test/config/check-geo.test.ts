import { join } from 'node:path';
import { test } from 'tap';
import { checkRegions } from '../../config/check.ts';
import { loadRegion } from '../../config/load.ts';
import { HEAD, placesOf, problemsOf, SITES } from './refusal.ts';

const EDGE = "edges: [{ name: fra-1, listen: '0.0.0.0:80', tier: '10.0.0.1:1', public: [ADDRESS] }]\n";

for (const { what, yaml, places = [], says, fix } of [
  {
    what: 'all of it',
    yaml: 'geo: { weight: 2.5, capacity: 1000, countries: [DE, XK], continents: [EU], recovery: 0s }\n',
  },
  {
    what: 'a code that no country has',
    yaml: 'geo:\n  countries: [DE, QX]\n',
    places: ['4:19 geo.countries[1]'],
    says: /QX is not the code of a country/,
  },
  { what: 'a code of old', yaml: 'geo: { countries: [UK] }\n', places: ['3:20 geo.countries[0]'], fix: 'Write GB.' },
  {
    what: 'a continent among the countries',
    yaml: 'geo: { countries: [EU] }\n',
    places: ['3:20 geo.countries[0]'],
    fix: 'Write `continents: [EU]`.',
  },
  { what: 'a code in small letters', yaml: 'geo: { countries: [de] }\n', places: ['3:20 geo.countries[0]'] },
  { what: 'a weight of nothing', yaml: 'geo: { weight: 0 }\n', places: ['3:16 geo.weight'] },
  { what: 'public addresses', yaml: EDGE.replace('ADDRESS', "203.0.113.7, '2001:db8::7'") },
  {
    what: 'a name for a public address',
    yaml: EDGE.replace('ADDRESS', 'www.example.com'),
    places: ['3:75 edges[0].public[0]'],
  },
  {
    what: 'any address for a public one',
    yaml: EDGE.replace('ADDRESS', '0.0.0.0'),
    places: ['3:75 edges[0].public[0]'],
  },
  {
    what: 'the PROXY protocol without trusted proxies',
    yaml: 'client_address: proxy-protocol\n',
    places: ['3:17 client_address'],
    says: /no sender is trusted, so the PROXY protocol is never believed/,
  },
  {
    what: 'a header without trusted proxies',
    yaml: 'client_address: { header: X-Real-IP }\n',
    places: ['3:1 client_address'],
  },
  {
    what: 'a header of trusted proxies',
    yaml: 'client_address: { header: X-Real-IP }\ntrusted_proxies: [10.0.0.0/8]\n',
  },
]) {
  test(`addresses and places of a region: ${what} ${places.length === 0 ? 'is accepted' : 'is refused'}`, async (t) => {
    const folder = t.testdir({ 'fra.yaml': `${HEAD}${yaml}${SITES}` });
    const problems = problemsOf(() => loadRegion(join(folder, 'fra.yaml')));
    t.strictSame(
      placesOf(folder, problems),
      places.map((place) => `fra.yaml:${place}`),
    );
    if (says) t.match(problems[0]?.message, says);
    if (fix) t.equal(problems[0]?.fix, fix);
  });
}

test('two default regions are refused', async (t) => {
  const text = (name: string) => `${HEAD.replace('fra', name)}geo: { default: true }\n${SITES}`;
  const folder = t.testdir({ 'a.yaml': text('a'), 'b.yaml': text('b') });
  const { problems } = checkRegions(['a.yaml', 'b.yaml'].map((file) => join(folder, file)));
  t.strictSame(placesOf(folder, problems), ['b.yaml:3:17 geo.default']);
  t.match(problems[0]?.message, /^a is the default region already \(geo\.default in .*a\.yaml\)$/);
});
