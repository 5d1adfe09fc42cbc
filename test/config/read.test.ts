/** Reading of a region file: secrets from the environment, included sites, sites of the command line. */
import { join } from 'node:path';
import { test } from 'tap';
import { loadRegion } from '../../config/load.ts';
import { formatProblem } from '../../config/problem.ts';
import { assembleRegion, readRegion, readSite } from '../../config/read.ts';
import { HEAD, placesOf, problemsOf, SITES } from './refusal.ts';

const ORIGIN = 'origin: { servers: [{ url: http://origin.example.net }] }\n';

for (const { what, secret, env, says } of [
  { what: 'a variable that is not set', secret: `\${NETWORK_SECRET}`, env: {}, says: /NETWORK_SECRET is not set/ },
  { what: 'a variable that is empty', secret: `\${NETWORK_SECRET}`, env: { NETWORK_SECRET: '' }, says: /is not set/ },
  {
    what: 'a variable with too little in it',
    secret: `\${NETWORK_SECRET}`,
    env: { NETWORK_SECRET: 'hunter2' },
    says: /does not hold 16/,
  },
  { what: 'a variable inside other text', secret: `prefix-\${NETWORK_SECRET}`, env: {}, says: /the whole value/ },
  { what: 'an inherited name', secret: `\${constructor}`, env: {}, says: /is not set/ },
  { what: 'too little', secret: 'hunter2', env: {}, says: /something else \(not shown\)/ },
]) {
  test(`tier_secret is refused, and not shown: ${what}`, async (t) => {
    const directory = t.testdir({ 'region.yaml': `region: fra\ntier_secret: ${secret}\n${SITES}` });
    const problems = problemsOf(() => loadRegion(join(directory, 'region.yaml'), env));
    t.same(placesOf(directory, problems), ['region.yaml:2:14 tier_secret']);
    t.match(problems[0]?.message, says);
    t.notMatch(problems.map(formatProblem).join(), /hunter2/);
  });
}

test('tier_secret is read from the environment', async (t) => {
  const directory = t.testdir({ 'region.yaml': `region: fra\ntier_secret: \${S}\n${SITES}` });
  const config = loadRegion(join(directory, 'region.yaml'), { S: 'a secret of the environment'.replaceAll(' ', '-') });
  t.equal(config.tier_secret, 'a-secret-of-the-environment');
});

test('a problem of an included site names its own file', async (t) => {
  const directory = t.testdir({
    regions: { 'fra.yaml': `${HEAD}sites:\n  - include: ../sites/shop.yaml\n` },
    sites: { 'shop.yaml': `name: shop\nhosts: [a.example]\n${ORIGIN}rules:\n  - path: static/*\n` },
  });
  const problems = problemsOf(() => loadRegion(join(directory, 'regions/fra.yaml'), {}));
  t.same(placesOf(directory, problems), ['sites/shop.yaml:5:11 rules[0].path']);
});

test('an included site cannot include another', async (t) => {
  const directory = t.testdir({
    'fra.yaml': `${HEAD}sites:\n  - include: loop.yaml\n`,
    'loop.yaml': 'include: loop.yaml\n',
  });
  const problems = problemsOf(() => loadRegion(join(directory, 'fra.yaml'), {}));
  t.match(problems, [{ key: 'name' }, { key: 'hosts' }, { key: 'origin' }, { key: 'include', message: 'unknown key' }]);
});

test('broken YAML in an included file is reported at its place', async (t) => {
  const directory = t.testdir({
    'fra.yaml': `${HEAD}sites:\n  - include: shop.yaml\n`,
    'shop.yaml': 'name: shop\n\thosts: []\n',
  });
  const problems = problemsOf(() => loadRegion(join(directory, 'fra.yaml'), {}));
  t.match(placesOf(directory, problems)[0], /^shop\.yaml:2:/);
});

test('a file that is included twice is refused', async (t) => {
  const directory = t.testdir({
    'region.yaml': `${HEAD}sites:\n  - include: shop.yaml\n  - include: ./shop.yaml\n`,
    'shop.yaml': 'name: shop\nhosts: [a.example]\norigin: { servers: [{ url: http://o.example }] }\n',
  });
  const problems = problemsOf(() => loadRegion(join(directory, 'region.yaml'), {}));
  t.same(placesOf(directory, problems), ['region.yaml:5:14 sites[1].include']);
});

test('files of a certificate are named from where the site file is', async (t) => {
  const directory = t.testdir({
    regions: { 'fra.yaml': `${HEAD}sites:\n  - include: ../sites/shop.yaml\n` },
    sites: { 'shop.yaml': `name: shop\nhosts: [a.example]\n${ORIGIN}tls: { cert_file: a.pem, key_file: /k.pem }\n` },
  });
  const { sites } = readRegion(join(directory, 'regions/fra.yaml'), {});
  t.same(sites[0]?.config.tls, { cert_file: join(directory, 'sites/a.pem'), key_file: '/k.pem' });
});

test('a region that cannot be read has no config', async (t) => {
  const reading = readRegion(join(t.testdir({}), 'gone.yaml'), {});
  t.equal(reading.problems.length, 1);
  t.throws(() => assembleRegion(reading), TypeError);
});

for (const { what, value } of [
  { what: 'a list', value: '[a-secret-that-is-long-enough]' },
  { what: 'a mapping', value: '{ a: b }' },
  { what: 'nothing', value: '' },
]) {
  test(`${what} in the place of a secret is a problem of that key only, and not shown`, async (t) => {
    const directory = t.testdir({ 'region.yaml': `region: fra\ntier_secret: ${value}\n${SITES}` });
    const { problems } = readRegion(join(directory, 'region.yaml'), {});
    t.match(problems, [{ key: 'tier_secret' }]);
    t.equal(problems.length, 1);
    t.notMatch(problems.map(formatProblem).join(), /long-enough/);
  });
}

for (const { yaml, why } of [
  { yaml: '- a list', why: 'a list' },
  { yaml: 'origin: [http://o.example]', why: 'an origin that is no mapping' },
]) {
  test(`a site file that is ${why} is refused with the origin of the command line as without`, async (t) => {
    const file = join(t.testdir({ 'a.yaml': `${yaml}\n` }), 'a.yaml');
    const isRefused = ({ problems }: ReturnType<typeof readSite>): boolean => problems.length > 0;
    t.ok(isRefused(readSite(file, {})));
    t.equal(isRefused(readSite(file, { origin: 'http://127.0.0.1:1' })), yaml.startsWith('-'));
  });
}
