/** Values that the schema refuses: where each stands, what was expected there, and a fix that helps. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'tap';
import { parse } from 'yaml';
import { loadRegion } from '../../config/load.ts';
import { formatProblem, keyOf } from '../../config/problem.ts';
import { fuzzer } from '../support/fuzz.ts';
import { HEAD, placesOf, problemsOf, SITES } from './refusal.ts';

const fuzz = fuzzer(import.meta.filename);

const ORIGIN = 'origin: { servers: [{ url: http://origin.example.net }] }\n';

for (const { what, yaml, places, says, fix } of [
  {
    what: 'an unknown key',
    yaml: `${HEAD}memori: 1GiB\n${SITES}`,
    places: ['3:1 memori'],
    says: /unknown key/,
    fix: /Did you mean `memory`/,
  },
  {
    what: 'an unknown key like nothing else',
    yaml: `${HEAD}zzzzzz: 1\n${SITES}`,
    places: ['3:1 zzzzzz'],
    fix: /the keys here are access_log, client_address, control, /,
  },
  {
    what: 'a key of another place, in a site',
    yaml: `${HEAD}sites: [{ name: a, hosts: [a.example], ${ORIGIN.trim()}, requests_per_address: 3 }]\n`,
    places: ['3:99 sites[0].requests_per_address'],
    fix: /^Move it: a region file has it as `limits\.requests_per_address`; the keys here are /,
  },
  {
    what: 'a key of another place, at the top',
    yaml: `${HEAD}host_header: origin\n${SITES}`,
    places: ['3:1 host_header'],
    fix: /^Move it: a region file has it as `sites\[\]\.origin\.host_header`; /,
  },
  {
    what: 'a key that several other places have',
    yaml: `${HEAD}weight: 3\n${SITES}`,
    places: ['3:1 weight'],
    fix: /^Remove it; the keys here are /,
  },
  {
    what: 'a key in camel case',
    yaml: `${HEAD}shieldsFrom: []\n${SITES}`,
    places: ['3:1 shieldsFrom'],
    fix: /`shields_from`/,
  },
  {
    what: 'unknown keys, however deep',
    yaml: `${HEAD}sites:\n  - name: a\n    hosts: [a.example]\n    origin:\n      servers:\n        - url: http://o.example\n          wieght: 2\n`,
    places: ['9:11 sites[0].origin.servers[0].wieght'],
    fix: /`weight`/,
  },
  {
    what: 'a duration without unit',
    yaml: `${HEAD}limits:\n  header_timeout: 15\n${SITES}`,
    places: ['4:19 limits.header_timeout'],
    says: /expected a duration above 0s, up to 1d such as 30s, 5m or 2h, found 15$/,
    fix: /^Write `header_timeout: 15s` \(with a unit\)\.$/,
  },
  {
    what: 'a timeout of zero',
    yaml: `${HEAD}limits: { header_timeout: 0s }\n${SITES}`,
    places: ['3:27 limits.header_timeout'],
  },
  {
    what: 'a timeout beyond a timer',
    yaml: `${HEAD}limits: { header_timeout: 30d }\n${SITES}`,
    places: ['3:27 limits.header_timeout'],
  },
  {
    what: 'a size in powers of ten',
    yaml: `${HEAD}memory: 64MB\n${SITES}`,
    places: ['3:9 memory'],
    says: /found "64MB"/,
  },
  { what: 'no memory', yaml: `${HEAD}memory: 0B\n${SITES}`, places: ['3:9 memory'], says: /a size above 0B/ },
  {
    what: 'a number in quotes',
    yaml: `${HEAD}limits: { max_headers: '64' }\n${SITES}`,
    places: ['3:24 limits.max_headers'],
    fix: /`max_headers: 64` \(without quotes\)/,
  },
  {
    what: 'a number out of range',
    yaml: `${HEAD}limits: { max_headers: 5 }\n${SITES}`,
    places: ['3:24 limits.max_headers'],
    says: /a whole number from 16 to 2000, found 5/,
  },
  {
    what: 'a yes',
    yaml: `${HEAD}${SITES}    cache_status: yes\n`,
    places: ['7:19 sites[0].cache_status'],
    says: /true or false, found "yes"/,
    fix: /`cache_status: true`/,
  },
  {
    what: 'a mistyped word',
    yaml: `${HEAD}${SITES}    rules: [{ cache: nevr }]\n`,
    places: ['7:22 sites[0].rules[0].cache'],
    says: /expected `allow` or `never`, found "nevr"/,
    fix: /`cache: never`/,
  },
  {
    what: 'a host in upper case',
    yaml: `${HEAD}sites:\n  - name: a\n    hosts: [WWW.example.com]\n    ${ORIGIN}`,
    places: ['5:13 sites[0].hosts[0]'],
    fix: /`www\.example\.com` \(in lower case\)/,
  },
  {
    what: 'one host that is no list',
    yaml: `${HEAD}sites:\n  - name: a\n    hosts: a.example\n    ${ORIGIN}`,
    places: ['5:12 sites[0].hosts'],
    fix: /`hosts: \[a\.example\]` \(as a list\)/,
  },
  {
    what: 'an origin with a path',
    yaml: `${HEAD}sites:\n  - name: a\n    hosts: [a.example]\n    origin: { servers: [{ url: 'http://o.example/x' }] }\n`,
    places: ['6:32 sites[0].origin.servers[0].url'],
    says: /without a path/,
  },
  {
    what: 'a port that does not exist',
    yaml: `${HEAD}control: { listen: '127.0.0.1:65536' }\n${SITES}`,
    places: ['3:20 control.listen'],
    says: /HOST:PORT/,
  },
  {
    what: 'half of the coordinates',
    yaml: `${HEAD}coordinates: [50]\n${SITES}`,
    places: ['3:1 coordinates'],
    fix: /\[50\.11, 8\.68\]/,
  },
  {
    what: 'coordinates the wrong way round',
    yaml: `${HEAD}coordinates: [-122.4, 37.8]\n${SITES}`,
    places: ['3:15 coordinates[0]'],
    says: /from -90 to 90/,
  },
  {
    what: 'a list in the place of a mapping',
    yaml: `${HEAD}limits: []\n${SITES}`,
    places: ['3:1 limits'],
    says: /a mapping with .*found a list of 0 items/,
  },
  {
    what: 'a key without a value',
    yaml: `${HEAD}limits:\n${SITES}`,
    places: ['3:1 limits'],
    says: /found nothing/,
    fix: /Remove it, or give it a value/,
  },
  {
    what: 'a status that does not exist',
    yaml: `${HEAD}${SITES}    rules: [{ status: [404, 6xx] }]\n`,
    places: ['7:29 sites[0].rules[0].status[1]'],
    says: /a status such as 404 or 5xx, found "6xx"/,
  },
  {
    what: 'an unknown way to treat the query',
    yaml: `${HEAD}${SITES}    key: { query: { alow: [page] } }\n`,
    places: ['7:21 sites[0].key.query.alow'],
    fix: /`allow`/,
  },
  {
    what: 'two ways to treat the query',
    yaml: `${HEAD}${SITES}    key: { query: { allow: [a], deny: [b] } }\n`,
    places: ['7:12 sites[0].key.query'],
    says: /found a mapping with "allow" and "deny"/,
  },
  {
    what: 'a header name with a space',
    yaml: `${HEAD}${SITES}    response_headers: { set: { 'X Y': z } }\n`,
    places: ['7:32 sites[0].response_headers.set["X Y"]'],
    says: /a header name/,
  },
  {
    what: 'a header value with a line break',
    yaml: `${HEAD}${SITES}    response_headers: { set: { X: "a\\r\\nb" } }\n`,
    places: ['7:35 sites[0].response_headers.set.X'],
  },
  {
    what: 'a missing key of the file',
    yaml: `tier_secret: 0123456789abcdef\n${SITES}`,
    places: ['1:1 region'],
    says: /missing/,
    fix: /Add `region: fra`/,
  },
  {
    what: 'a missing key of a list item',
    yaml: `${HEAD}edges:\n  - name: fra-1\n    listen: 127.0.0.1:80\n${SITES}`,
    places: ['4:5 edges[0].tier'],
    fix: /Add `tier: 127\.0\.0\.1:8080`/,
  },
  {
    what: 'a missing key of a mapping',
    yaml: `${HEAD}control:\n  name: control\n${SITES}`,
    places: ['3:1 control.listen'],
  },
  { what: 'no sites', yaml: `${HEAD}sites: []\n`, places: ['3:1 sites'] },
  {
    what: 'an include beside other keys',
    yaml: `${HEAD}sites:\n  - include: a.yaml\n    name: x\n`,
    places: ['5:5 sites[0].name'],
  },
  { what: 'a list in the place of the file', yaml: '- a\n', places: ['1:1'] },
  { what: 'words in the place of the file', yaml: 'hello\n', places: ['1:1'] },
] as { what: string; yaml: string; places: string[]; says?: RegExp; fix?: RegExp }[]) {
  test(`refused with its place: ${what}`, async (t) => {
    const directory = t.testdir({ 'region.yaml': yaml });
    const problems = problemsOf(() => loadRegion(join(directory, 'region.yaml'), {}));
    t.same(
      placesOf(directory, problems),
      places.map((place) => `region.yaml:${place}`),
    );
    if (says) t.match(problems[0]?.message, says);
    if (fix) t.match(problems[0]?.fix, fix);
  });
}

const GOOD = {
  region: 'fra',
  tier_secret: '0123456789abcdef',
  edges: [{ name: 'a', listen: '127.0.0.1:1', tier: '127.0.0.1:2' }],
  limits: {},
  sites: [
    {
      name: 's',
      hosts: ['*'],
      origin: { servers: [{ url: 'http://o.example' }] },
      rules: [{ path: '/a', ttl: '1s' }],
      key: { query: 'all' },
    },
  ],
};

const PLACES = [
  ['region'],
  ['edges'],
  ['edges', 0],
  ['edges', 0, 'listen'],
  ['limits'],
  ['sites'],
  ['sites', 0],
  ['sites', 0, 'hosts', 0],
  ['sites', 0, 'origin', 'servers', 0],
  ['sites', 0, 'rules', 0],
  ['sites', 0, 'rules', 0, 'path'],
  ['sites', 0, 'key', 'query'],
];

test('whatever value is replaced, every problem has a place, words and a fix', async (t) => {
  const file = join(t.testdir({}), 'region.yaml');
  fuzz(
    'whatever value is replaced, every problem has a place, words and a fix',
    fc.property(fc.constantFrom(...PLACES), fc.jsonValue({ maxDepth: 3 }), (path, value) => {
      writeFileSync(file, JSON.stringify(replaced(GOOD, path, value), undefined, 1));
      return problemsOf(() => loadRegion(file, {})).every(
        (problem) => problem.line >= 1 && problem.fix !== '' && !/undefined|\[object/.test(formatProblem(problem)),
      );
    }),
    { numRuns: 500 },
  );
  t.pass('held');
});

function replaced(whole: unknown, [step, ...rest]: readonly (string | number)[], value: unknown): unknown {
  if (step === undefined) return value;
  const copy = structuredClone(whole) as Record<string | number, unknown>;
  copy[step] = replaced(copy[step], rest, value);
  return copy;
}

/** One more setting of each kind, so that a fix is tried for each of them. */
const SETTINGS = {
  ...GOOD,
  network: 'seawall',
  memory: '1GiB',
  coordinates: [50.1, 8.7],
  limits: { header_timeout: '5s', max_headers: 64, requests_per_address: 3 },
  purges: { journal: 'http://10.0.0.9:80' },
  sites: [
    {
      ...GOOD.sites[0],
      cache_status: true,
      max_object: '1MiB',
      rules: [{ path: '/a', ttl: '1s', cache: 'never', headers: { set: { 'X-A': 'b' } } }],
      key: { query: 'all', headers: ['Accept'], cookies: ['a'] },
      origin: { servers: [{ url: 'http://o.example', weight: 2 }], host_header: 'origin', connect_timeout: '1s' },
    },
  ],
};

/** Each place that holds something, but the document itself. */
function placesIn(value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  const own = path.length === 0 ? [] : [path];
  if (typeof value !== 'object' || value === null) return own;
  const steps = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  return [
    ...own,
    ...steps.flatMap((step) => placesIn((value as Record<string | number, unknown>)[step], [...path, step])),
  ];
}

test('a fix that says what to write is accepted where it is written', async (t) => {
  const file = join(t.testdir({}), 'region.yaml');
  let followed = 0;
  const refusedAt = (config: unknown, key: string) => {
    writeFileSync(file, JSON.stringify(config, undefined, 1));
    return problemsOf(() => loadRegion(file, {})).find((problem) => problem.key === key);
  };
  const slip = fc.constantFrom('1 hour', '64MB', 'no', 'HTTP://A.example/x', '8601', 'yes', 'ALL', '-1', '', 'a b');
  const value = fc.oneof(slip, fc.jsonValue({ maxDepth: 1 }), fc.integer(), fc.double());
  fuzz(
    'a fix that says what to write is accepted where it is written',
    fc.property(fc.constantFrom(...placesIn(SETTINGS)), value, (path, wrong) => {
      const key = keyOf(path);
      const problem = refusedAt(replaced(SETTINGS, path, wrong), key);
      const written = /^Write `(.*)`/.exec(problem?.fix ?? '')?.[1];
      if (written === undefined || written.includes('…')) return;
      const read: unknown = parse(written);
      const name = path.at(-1);
      const right = typeof name === 'string' ? (read as Record<string, unknown>)[name] : read;
      followed += 1;
      const still = refusedAt(replaced(SETTINGS, path, right), key);
      t.notMatch(still?.message, /^expected/, `${key}: ${JSON.stringify(wrong)}: ${problem?.fix}: ${still?.message}`);
    }),
    { numRuns: 1_000 },
  );
  t.ok(followed > 100, `${followed} fixes were followed`);
});
