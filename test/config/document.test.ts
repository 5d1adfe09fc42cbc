import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { MAX_FILE_BYTES, readYaml } from '../../config/document.ts';
import { loadRegion } from '../../config/load.ts';
import { HEAD, placesOf, problemsOf, SITES } from './refusal.ts';

const LAUGHS = `a: &a [x, x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
`;

for (const { what, yaml, place, says } of [
  { what: 'an empty file', yaml: '', place: '1:1', says: /the file is empty/ },
  { what: 'only comments', yaml: '# nothing\n', place: '1:1', says: /the file is empty/ },
  { what: 'a tab as indentation', yaml: 'limits:\n\tmax_headers: 50\n', place: '2:1', says: /[Tt]abs/ },
  { what: 'a key twice', yaml: 'limits:\n  a: 1\n  b: 2\n  a: 3\n', place: '4:3 limits.a', says: /in line 2/ },
  { what: 'a key twice in a list', yaml: 'edges:\n  - a: 1\n  - { b: 1, b: 2 }\n', place: '3:13 edges[1].b' },
  { what: 'an open quote', yaml: 'region: "fra\nmemory: 1GiB\n', place: '3:1', says: /quote/ },
  { what: 'two documents', yaml: 'region: fra\n---\nregion: ams\n', place: '2:1', says: /multiple documents/ },
  { what: 'a mapping in a line of a mapping', yaml: 'region: a: b\n', place: '1:9', says: /[Nn]ested mappings/ },
  { what: 'keys that are not in line', yaml: 'limits:\n   a: 1\n  b: 2\n', place: '3:1', says: /same column/ },
  { what: 'a tag', yaml: 'region: !!js/function x\n', place: '1:9', says: /tag/ },
  { what: 'a directive', yaml: '%FOO bar\n---\nregion: fra\n', place: '1:1', says: /directive/ },
  { what: 'a list as a key', yaml: '? [a, b]\n: 1\n', place: '1:3', says: /keys must be strings/ },
  { what: 'a merge key', yaml: 'a: &a { b: 1 }\nc:\n  <<: *a\n', place: '3:3 c["<<"]', says: /merge keys/ },
  { what: 'an alias of nothing', yaml: 'a: *b\n', place: '1:1', says: /b/ },
  { what: '__proto__', yaml: 'limits:\n  __proto__: { max_headers: 50 }\n', place: '2:3 limits.__proto__' },
  { what: '__proto__ in quotes', yaml: '"__proto__": { region: fra }\n', place: '1:1 __proto__' },
  { what: 'a billion laughs', yaml: LAUGHS, place: '1:1', says: /alias/ },
  {
    what: 'nesting beyond use',
    yaml: `a: ${'['.repeat(40)}${']'.repeat(40)}\n`,
    place: `1:35 a${'[0]'.repeat(31)}`,
    says: /32 levels/,
  },
]) {
  test(`refused with its place: ${what}`, async (t) => {
    const directory = t.testdir({ 'region.yaml': yaml });
    const problems = problemsOf(() => loadRegion(join(directory, 'region.yaml'), {}));
    t.equal(placesOf(directory, problems)[0], `region.yaml:${place}`);
    if (says) t.match(problems[0]?.message, says);
    t.ok(problems[0]?.fix);
  });
}

for (const [what, yaml] of Object.entries({
  'open brackets without end': '['.repeat(100_000),
  'dashes without end': `${'- '.repeat(100_000)}x`,
  'open mappings without end': '{a: '.repeat(50_000),
  'a hundred thousand unknown keys': Array.from({ length: 100_000 }, (_, index) => `k${index}: 1`).join('\n'),
  'a hundred thousand equal keys': 'a: 1\n'.repeat(100_000),
  'a hundred thousand wrong rules': `${HEAD}${SITES}    rules: [${'5,'.repeat(100_000)}]\n`,
  'a scalar of half a megabyte': `region: ${'a'.repeat(2 ** 19)}\n`,
  'a host of half a megabyte': `${HEAD}sites: [{ name: a, hosts: ['${'a-'.repeat(2 ** 18)}!'] }]\n`,
  'a list that holds itself': 'region: &a [*a]\n',
})) {
  test(`refused in bounded time and words: ${what}`, async (t) => {
    const directory = t.testdir({ 'region.yaml': yaml });
    const problems = problemsOf(() => loadRegion(join(directory, 'region.yaml'), {}));
    t.ok(problems.length > 0);
    t.ok(problems.length < 1_000);
    t.ok(problems.every(({ key, message, fix }) => key.length + message.length + fix.length < 2_000));
  });
}

test('a key that every object inherits is an unknown key', async (t) => {
  const directory = t.testdir({ 'region.yaml': `${HEAD}constructor: 1\ntoString: 2\n${SITES}` });
  const problems = problemsOf(() => loadRegion(join(directory, 'region.yaml'), {}));
  t.same(placesOf(directory, problems), ['region.yaml:3:1 constructor', 'region.yaml:4:1 toString']);
});

test('control characters of a file do not reach the message', async (t) => {
  const directory = t.testdir({ 'region.yaml': `${HEAD}"\\e[31m\\n": 1\nnetwork: "a\\nb\\e"\n${SITES}` });
  t.throws(() => loadRegion(join(directory, 'region.yaml'), {}), { message: /^[^\p{Cc}]*\n[^\p{Cc}]*$/u });
});

test('a problem of a value behind an alias points to the anchor', async (t) => {
  const directory = t.testdir({
    'region.yaml': `${HEAD}edges:\n  - &one { name: a, listen: 'h:1', tier: 'h:2', weight: 0 }\n  - *one\n${SITES}`,
  });
  const problems = problemsOf(() => loadRegion(join(directory, 'region.yaml'), {}));
  t.same(placesOf(directory, problems), ['region.yaml:4:57 edges[0].weight', 'region.yaml:4:57 edges[1].weight']);
});

test('Windows line ends and a byte order mark change nothing', async (t) => {
  const directory = t.testdir({ 'region.yaml': `\uFEFF${HEAD}memory: 5\n${SITES}`.replaceAll('\n', '\r\n') });
  const problems = problemsOf(() => loadRegion(join(directory, 'region.yaml'), {}));
  t.same(placesOf(directory, problems), ['region.yaml:3:9 memory']);
});

test('a file that is not readable text is refused in one clear line', async (t) => {
  const directory = t.testdir({ 'file.yaml': 'a: 1' });
  mkdirSync(join(directory, 'folder.yaml'));
  symlinkSync('loop.yaml', join(directory, 'loop.yaml'));
  writeFileSync(join(directory, 'latin1.yaml'), Buffer.from('region: fr\xe9\n', 'latin1'));
  writeFileSync(join(directory, 'large.yaml'), Buffer.alloc(MAX_FILE_BYTES + 1, '#'));
  for (const [name, says] of Object.entries({
    'gone.yaml': /there is no such file/,
    'file.yaml/x.yaml': /there is no such file/,
    'folder.yaml': /this is not a file/,
    'loop.yaml': /leads back to itself/,
    'latin1.yaml': /not UTF-8/,
    'large.yaml': /has 1048577 bytes/,
    'nul\0.yaml': /NUL/,
  })) {
    t.match(readYaml(join(directory, name)), [{ line: 0, column: 0, key: '', message: says, fix: /./ }], name);
  }
});

test('a file that is no YAML gets a handful of problems, the first ones', (t) => {
  const file = join(
    t.testdir({ 'page.md': 'Some: words: of\n\nno `structure`: at\n- all: *x\n'.repeat(50) }),
    'page.md',
  );
  const problems = readYaml(file) as readonly { line: number }[];
  t.equal(problems.length, 5);
  t.equal(problems[0]?.line, 1);
  t.end();
});
