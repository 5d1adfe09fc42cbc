/**
 * The block `dns` over the life of a config: secrets from the environment,
 * other sockets, clashes with other nodes.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { loadRegion } from '../../../config/load.ts';
import { reloadRegions } from '../../../config/reload.ts';
import { regionYaml } from '../../geo/dns/world.ts';
import { placesOf, problemsOf } from '../refusal.ts';

const SECRET = '00112233445566778899aabbccddeeff';
const COOKIES = `  cookies: { secret: '\${DNS_SECRET}', previous_secret: ${SECRET} }`;

test('secrets of cookies are checked', async (t) => {
  const directory = t.testdir({ 'eu.yaml': regionYaml({ more: COOKIES }) });
  const file = join(directory, 'eu.yaml');
  t.match(loadRegion(file, { DNS_SECRET: SECRET }).dns?.cookies, { secret: SECRET, previous_secret: SECRET });
  for (const [env, says] of [
    [{}, /DNS_SECRET is not set/],
    [{ DNS_SECRET: 'short' }, /does not hold 32 hexadecimal digits/],
    [{ DNS_SECRET: SECRET.toUpperCase() }, /does not hold/],
  ] as const) {
    const [problem] = problemsOf(() => loadRegion(file, env));
    t.match(problem, { key: 'dns.cookies.secret', message: says });
    t.notMatch(problem?.message, /short/, 'a secret is not shown');
  }
});

test('a running server keeps its sockets and its name; everything else may change', async (t) => {
  const directory = t.testdir({ 'eu.yaml': regionYaml({ listen: '127.0.0.1:5353' }) });
  const file = join(directory, 'eu.yaml');
  const running = loadRegion(file, {});
  for (const [yaml, key] of [
    [regionYaml({ listen: '127.0.0.1:5354' }), 'dns.listen'],
    [regionYaml({ listen: '127.0.0.1:5353', more: '  name: other' }), 'dns.name'],
    [regionYaml({ listen: '127.0.0.1:5353', more: '  control: 127.0.0.1:1' }), 'dns.control'],
  ] as const) {
    writeFileSync(file, yaml);
    t.match(problemsOf(() => reloadRegions([running], {}))[0]?.key, key);
  }
  writeFileSync(file, regionYaml({ listen: '127.0.0.1:5353', more: '  ttl: 10s' }));
  t.same(reloadRegions([running], {})[0]?.changes, ['dns.ttl']);
});

test('addresses that clash with other nodes are refused', async (t) => {
  const edges = 'edges: [{ name: dns, listen: 127.0.0.1:5353, tier: 127.0.0.1:8100 }]\n';
  const directory = t.testdir({ 'eu.yaml': edges + regionYaml({ listen: '127.0.0.1:5353' }) });
  const problems = problemsOf(() => loadRegion(join(directory, 'eu.yaml'), {}));
  t.match(
    placesOf(directory, problems)
      .map((place) => place.split(' ')[1])
      .toSorted(),
    ['dns.listen[0]', 'dns.name'],
  );
});

test('exempt networks that are no networks are refused', async (t) => {
  const directory = t.testdir({
    'eu.yaml': regionYaml({ more: '  rate_limit: { exempt: [10.0.0.0/33, localhost] }' }),
  });
  const problems = problemsOf(() => loadRegion(join(directory, 'eu.yaml'), {}));
  t.same(
    problems.map(({ key }) => key),
    ['dns.rate_limit.exempt[0]', 'dns.rate_limit.exempt[1]'],
  );
});
