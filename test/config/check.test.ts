import { join } from 'node:path';
import { test } from 'tap';
import { checkRegions } from '../../config/check.ts';
import { loadRegion } from '../../config/load.ts';
import { placesOf, problemsOf } from './refusal.ts';

/** A region on one machine, whose fourth octet is `machine`. */
function region(name: string, machine: number, more = ''): string {
  return `region: ${name}
network: test
tier_secret: 0123456789abcdef
edges: [{ name: ${name}-1, listen: '0.0.0.0:80', tier: '10.0.0.${machine}:81' }]
sites: [{ name: shop, hosts: ['*'], origin: { servers: [{ url: 'http://origin.example' }] } }]
${more}`;
}

function shield(name: string, machine: number): string {
  return `shields: [{ name: ${name}, tier: '10.0.0.${machine}:82' }]\n`;
}

for (const { what, fra, iad, places = [], says } of [
  { what: 'two regions side by side', fra: region('fra', 1), iad: region('iad', 2) },
  {
    what: 'one that uses the shields of the other',
    fra: region('fra', 1, shield('s', 1)),
    iad: region('iad', 2, 'shields_from: [fra.yaml]\n'),
  },
  {
    what: 'each using the shields of the other',
    fra: region('fra', 1, `${shield('s1', 1)}shields_from: [iad.yaml]\n`),
    iad: region('iad', 2, `${shield('s2', 2)}shields_from: [fra.yaml]\n`),
  },
  {
    what: 'each taking shields from the other, and neither has any',
    fra: region('fra', 1, 'shields_from: [iad.yaml]\n'),
    iad: region('iad', 2, 'shields_from: [fra.yaml]\n'),
    places: ['fra.yaml:6:16 shields_from[0]', 'iad.yaml:6:16 shields_from[0]'],
    says: /take shields from each other, and neither has any/,
  },
  {
    what: 'shields of a region that has none',
    fra: region('fra', 1),
    iad: region('iad', 2, 'shields_from: [fra.yaml]\n'),
    places: ['iad.yaml:6:16 shields_from[0]'],
    says: /has no shields of its own/,
  },
  {
    what: 'the same region twice in shields_from',
    fra: region('fra', 1, shield('s', 1)),
    iad: region('iad', 2, 'shields_from: [fra.yaml, ./fra.yaml]\n'),
    places: ['iad.yaml:6:26 shields_from[1]'],
  },
  {
    what: 'one region name',
    fra: region('fra', 1),
    iad: region('fra', 2).replace('fra-1', 'iad-1'),
    places: ['iad.yaml:1:9 region'],
    says: /fra\.yaml is called fra too/,
  },
  {
    what: 'one node name',
    fra: region('fra', 1),
    iad: region('iad', 2).replace('iad-1', 'fra-1'),
    places: ['iad.yaml:4:17 edges[0].name'],
    says: /edges\[0\] in .*fra\.yaml is called fra-1 too/,
  },
  {
    what: 'one node name, in networks of their own',
    fra: region('fra', 1),
    iad: region('iad', 2).replace('iad-1', 'fra-1').replace('test', 'other'),
  },
  {
    what: 'one machine, one address',
    fra: region('fra', 1),
    iad: region('iad', 1).replace(':81', ':83'),
    places: ['iad.yaml:4:32 edges[0].listen'],
    says: /0\.0\.0\.0:80 is taken: fra-1 listens/,
  },
  {
    what: 'an origin that is an edge of the other region',
    fra: region('fra', 1),
    iad: region('iad', 2).replace('origin.example', '10.0.0.1'),
    places: ['iad.yaml:5:64 sites[0].origin.servers[0].url'],
    says: /is fra-1 itself/,
  },
  {
    what: 'another network than its shields',
    fra: region('fra', 1, shield('s', 1)),
    iad: region('iad', 2, 'shields_from: [fra.yaml]\n').replace('test', 'other'),
    places: ['iad.yaml:6:16 shields_from[0]'],
    says: /belongs to the network test, this region to other/,
  },
  {
    what: 'another secret than its shields',
    fra: region('fra', 1, shield('s', 1)),
    iad: region('iad', 2, 'shields_from: [fra.yaml]\n').replace('abcdef', 'fedcba'),
    places: ['iad.yaml:6:16 shields_from[0]'],
    says: /has another tier_secret/,
  },
] as { what: string; fra: string; iad: string; places?: string[]; says?: RegExp }[]) {
  test(`two files: ${what}`, async (t) => {
    const directory = t.testdir({ 'fra.yaml': fra, 'iad.yaml': iad });
    const { regions, problems } = checkRegions([join(directory, 'fra.yaml'), join(directory, 'iad.yaml')], {});
    t.same(placesOf(directory, problems), places);
    if (says) t.match(problems[0]?.message, says);
    if (places.length === 0) t.equal(regions.length, 2);
  });
}

test('a problem never shows a secret', async (t) => {
  const directory = t.testdir({
    'fra.yaml': region('fra', 1, shield('s', 1)),
    'iad.yaml': region('iad', 2, 'shields_from: [fra.yaml]\n').replace('abcdef', 'fedcba'),
  });
  const problems = problemsOf(() => loadRegion(join(directory, 'iad.yaml'), {}));
  t.equal(problems.length, 1);
  t.notMatch(JSON.stringify(problems), /0123456789/);
});

test('a problem of a file that several regions use is reported once', async (t) => {
  const including = (name: string, machine: number) =>
    region(name, machine).replace(/^sites: .*$/m, 'sites: [{ include: shop.yaml }]');
  const directory = t.testdir({
    'fra.yaml': including('fra', 1),
    'iad.yaml': including('iad', 2),
    'shop.yaml': 'name: shop\nhosts: [a.example]\norigin: { servers: [{ url: http://o.example }] }\nttl: 1h\n',
  });
  const files = ['fra.yaml', 'iad.yaml', 'fra.yaml'].map((name) => join(directory, name));
  t.same(placesOf(directory, checkRegions(files, {}).problems), ['shop.yaml:4:1 ttl']);
});
