/** Loading: what is complete and checked can be run; what is not is refused with all its problems. */
import { join } from 'node:path';
import { test } from 'tap';
import { ConfigError, checkSiteFile, isSiteFile, loadRegion, loadSite } from '../../config/load.ts';
import { HEAD, placesOf, problemsOf, SITES } from './refusal.ts';

test('all problems are reported at once, in the order of the files', async (t) => {
  const directory = t.testdir({
    'region.yaml': `${HEAD}memory: 1\nedges: [{ name: X }]\nsites:\n  - include: site.yaml\n  - include: gone.yaml\n`,
    'site.yaml': 'name: shop\nhosts: []\nrules:\n  - ttl: 5\n',
  });
  const problems = problemsOf(() => loadRegion(join(directory, 'region.yaml'), {}));
  t.same(placesOf(directory, problems), [
    'region.yaml:3:9 memory',
    'region.yaml:4:9 edges[0].listen',
    'region.yaml:4:9 edges[0].tier',
    'region.yaml:4:17 edges[0].name',
    'region.yaml:7:14 sites[1].include',
    'site.yaml:1:1 origin',
    'site.yaml:2:1 hosts',
    'site.yaml:4:10 rules[0].ttl',
  ]);
});

test('keys that are left out have defaults, in milliseconds and bytes', async (t) => {
  const directory = t.testdir({ 'region.yaml': HEAD + SITES });
  const config = loadRegion(join(directory, 'region.yaml'), {});
  t.match(config, {
    network: 'seawall',
    memory: 256 * 2 ** 20,
    edges: [],
    reachableShields: [],
    limits: { header_timeout: 15_000, fill_window: 4 * 2 ** 20 },
    sites: [{ name: 'shop', origin: { connect_timeout: 5_000, tls: { verify: true } }, key: { query: 'all' } }],
  });
});

test('a site needs nothing but an origin', async (t) => {
  const directory = t.testdir({ 'site.yaml': 'rules:\n  - { path: /a/*, ttl: 1m }\n' });
  const site = loadSite(join(directory, 'site.yaml'), { origin: 'http://127.0.0.1:3000' });
  t.match(site, { name: 'site', hosts: ['*'], origin: { servers: [{ url: 'http://127.0.0.1:3000', weight: 1 }] } });
});

test('options of the command line override the file, and the rest of origin stays', async (t) => {
  const directory = t.testdir({
    'site.yaml': `name: shop\nhosts: [a.example]\norigin:\n  connect_timeout: 1s\n  servers: [{ url: http://o.example }]\n`,
  });
  const file = join(directory, 'site.yaml');
  t.match(loadSite(file).origin, { servers: [{ url: 'http://o.example' }] });
  t.match(loadSite(file, { origin: 'http://127.0.0.1:1' }), {
    name: 'shop',
    hosts: ['a.example'],
    origin: { servers: [{ url: 'http://127.0.0.1:1' }], connect_timeout: 1_000 },
  });
});

test('a site without an origin, or with a wrong one, is refused', async (t) => {
  const directory = t.testdir({ 'site.yaml': '{}\n' });
  const file = join(directory, 'site.yaml');
  t.same(
    placesOf(
      directory,
      problemsOf(() => loadSite(file)),
    ),
    ['site.yaml:1:1 origin'],
  );
  t.match(
    problemsOf(() => loadSite(file, { origin: 'localhost:3000' })),
    [{ file: 'command line', line: 0, key: '--origin' }],
  );
});

test('a ConfigError has at least one problem', async (t) => {
  const directory = t.testdir({});
  t.throws(
    () => loadRegion(join(directory, 'gone.yaml'), {}),
    new ConfigError([
      {
        file: join(directory, 'gone.yaml'),
        line: 0,
        column: 0,
        key: '',
        message: 'there is no such file',
        fix: 'Create it, or correct the path; paths inside a file are relative to that file.',
      },
    ]),
  );
});

for (const { yaml, is } of [
  { yaml: 'rules: []', is: true },
  { yaml: 'hosts: [a.example]\nname: a', is: true },
  { yaml: 'hosts: [a.example]\nregion: fra', is: false },
  { yaml: 'region: fra', is: false },
  { yaml: 'nothing: known', is: false },
  { yaml: 'constructor: 1', is: false },
  { yaml: '- hosts', is: false },
  { yaml: 'hosts', is: false },
  { yaml: '{', is: false },
]) {
  test(`a file with ${JSON.stringify(yaml)} ${is ? 'describes one site' : 'describes no site'}`, async (t) => {
    t.equal(isSiteFile(join(t.testdir({ 'a.yaml': `${yaml}\n` }), 'a.yaml')), is);
  });
}

test('a file that is not there describes no site', async (t) => {
  t.notOk(isSiteFile(join(t.testdir({}), 'gone.yaml')));
});

for (const { yaml, places } of [
  { yaml: 'name: a', places: [] },
  { yaml: 'origin: { connect_timeout: 1s }', places: [] },
  { yaml: 'origin: { servers: [] }', places: ['a.yaml:1:11 origin.servers'] },
  { yaml: 'origin: { servers: [{ url: nonsense }] }', places: ['a.yaml:1:28 origin.servers[0].url'] },
]) {
  test(`a site file with ${yaml} is checked ${places.length === 0 ? 'as if the command line named the origin' : 'with its own origin'}`, async (t) => {
    const directory = t.testdir({ 'a.yaml': `${yaml}\n` });
    t.same(placesOf(directory, checkSiteFile(join(directory, 'a.yaml')).problems), places);
  });
}
