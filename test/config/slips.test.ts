/** Values as people write them elsewhere, and what is suggested. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { ConfigError, loadRegion, loadSite } from '../../config/load.ts';
import { meantAddress, meantDuration, meantSize } from '../../config/slips.ts';
import { parseDuration, parseSize } from '../../config/units.ts';
import { HEAD, problemsOf, SITES } from './refusal.ts';

for (const { written, meant } of [
  ...['1 hour', '1hour', '1 hr', '1H', '1 Hours', 'PT1H', '1_h'].map((written) => ({ written, meant: '1h' })),
  ...['30 sec', '30 seconds', '30 s', '30', 'PT30S'].map((written) => ({ written, meant: '30s' })),
  ...['5min', '5 minutes', '5 M', '5 mins.'].map((written) => ({ written, meant: '5m' })),
  { written: '250 millis', meant: '250ms' },
  { written: '1.5 hours', meant: '1.5h' },
  { written: '1,5 h', meant: '1.5h' },
  { written: '2 days', meant: '2d' },
  { written: 'P2D', meant: '2d' },
  { written: '1 week', meant: '7d' },
  { written: '2w', meant: '14d' },
  { written: '1 month', meant: '30d' },
  { written: '1y', meant: '365d' },
  { written: 'soon', meant: undefined },
  { written: '1 fortnight', meant: undefined },
  { written: '', meant: undefined },
  { written: '1h30m', meant: undefined },
]) {
  test(`the duration ${JSON.stringify(written)} ${meant === undefined ? 'tells nothing' : `is ${meant}`}`, async (t) => {
    t.equal(meantDuration(written), meant);
    if (meant !== undefined) t.type(parseDuration(meant), 'number');
  });
}

for (const { written, meant } of [
  ...['64MB', '64 MB', '64M', '64mb', '64 MiB', '64mib', '64 megabytes'].map((written) => ({
    written,
    meant: '64MiB',
  })),
  ...['512k', '512 KB', '512Ki'].map((written) => ({ written, meant: '512KiB' })),
  ...['1G', '1 GB', '1gib'].map((written) => ({ written, meant: '1GiB' })),
  { written: '1.5G', meant: '1.5GiB' },
  { written: '100 bytes', meant: '100B' },
  { written: 'much', meant: undefined },
]) {
  test(`the size ${JSON.stringify(written)} ${meant === undefined ? 'tells nothing' : `is ${meant}`}`, async (t) => {
    t.equal(meantSize(written), meant);
    if (meant !== undefined) t.type(parseSize(meant), 'number');
  });
}

for (const { rule, fix } of [
  { rule: 'cache: no', fix: /^Write `cache: never`/ },
  { rule: 'cache: false', fix: /^Write `cache: never`/ },
  { rule: 'cache: off', fix: /^Write `cache: never`/ },
  { rule: 'cache: none', fix: /^Write `cache: never`/ },
  { rule: 'cache: bypass', fix: /^Write `cache: never`/ },
  { rule: 'cache: no-store', fix: /^Write `cache: never`/ },
  { rule: 'cache: nevr', fix: /^Write `cache: never`/ },
  { rule: 'cache: yes', fix: /^Write `cache: allow`/ },
  { rule: 'cache: true', fix: /^Write `cache: allow`/ },
  { rule: 'origin_headers: honor', fix: /^Write `origin_headers: honour`/ },
  { rule: 'origin_headers: false', fix: /^Write `origin_headers: ignore`/ },
  { rule: 'set_cookie: no', fix: /^Write `set_cookie: refuse`/ },
  { rule: 'set_cookie: keep', fix: /^Write `set_cookie: store`/ },
  { rule: 'ttl: 1 hour', fix: /^Write `ttl: 1h` \(did you mean this\?\)/ },
  { rule: 'ttl: 3600', fix: /^Write `ttl: 3600s` \(with a unit\)/ },
  { rule: 'ttl: "3600"', fix: /^Write `ttl: 3600s`/ },
  { rule: 'stale_if_error: 1 week', fix: /^Write `stale_if_error: 7d`/ },
]) {
  test(`${rule} is refused with what was meant`, async (t) => {
    const file = join(t.testdir({}), 'site.yaml');
    writeFileSync(file, `origin: { servers: [{ url: "http://127.0.0.1:1" }] }\nrules:\n  - path: /*\n    ${rule}\n`);
    let problems: unknown;
    try {
      loadSite(file);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems = error.problems;
    }
    t.match(problems, [{ line: 4, fix }]);
  });
}

for (const { size, fix } of [
  { size: '64MiB', fix: /^Write `size: 50GiB`\.$/ },
  { size: '0B', fix: /^Write `size: 50GiB`\.$/ },
  { size: '10 GB', fix: /^Write `size: 10GiB` \(did you mean this\?\)/ },
]) {
  test(`a disk of ${size} is refused with another size`, async (t) => {
    const edge = `{ name: a, listen: '127.0.0.1:1', tier: '127.0.0.1:2', disk: { path: d, size: ${size} } }`;
    const directory = t.testdir({ 'region.yaml': `${HEAD}${SITES}edges:\n  - ${edge}\n` });
    t.match(
      problemsOf(() => loadRegion(join(directory, 'region.yaml'), {})),
      [{ key: 'edges[0].disk.size', fix }],
    );
  });
}

for (const { title, written, meant } of [
  { title: 'HOST:PORT', written: '8601', meant: '127.0.0.1:8601' },
  { title: 'HOST:PORT', written: ':8601', meant: '0.0.0.0:8601' },
  { title: 'HOST:PORT', written: '*:8601', meant: '0.0.0.0:8601' },
  { title: 'HOST:PORT', written: 'http://10.0.0.1:8601/', meant: '10.0.0.1:8601' },
  { title: 'http://HOST[:PORT]', written: '127.0.0.1:4200', meant: 'http://127.0.0.1:4200' },
  { title: 'http://HOST[:PORT]', written: 'HTTPS://o.example/app?a', meant: 'https://o.example' },
  { title: 'a lower-case host name', written: 'https://WWW.example.com:8601/', meant: 'www.example.com' },
  { title: 'a path pattern', written: 'assets/*', meant: '/assets/*' },
  { title: 'a path pattern', written: '*.css', meant: '/*.css' },
  { title: 'a path pattern', written: '~ ^/assets', meant: undefined },
  { title: 'a path pattern', written: 'https://a.example/', meant: undefined },
  { title: 'a header name', written: '8601', meant: undefined },
]) {
  test(`${JSON.stringify(written)} for ${title} ${meant === undefined ? 'tells nothing' : `is ${meant}`}`, async (t) => {
    t.equal(meantAddress(written, title), meant);
  });
}

test('a suggested address keeps the written parts', async (t) => {
  const file = join(t.testdir({ 'site.yaml': '' }), 'site.yaml');
  const site = (server: string, host: string, path: string): string =>
    `name: a\nhosts: ["${host}"]\norigin: { servers: [{ url: "${server}" }] }\nrules: [{ path: "${path}", ttl: 1m }]\n`;
  writeFileSync(file, site('127.0.0.1:4200', 'WWW.a.example:80', '*.css'));
  try {
    loadSite(file);
    t.fail('it is refused');
  } catch (error) {
    t.ok(error instanceof ConfigError);
    t.same(
      (error as ConfigError).problems.map(({ fix }) => fix),
      ['www.a.example', 'url: http://127.0.0.1:4200', 'path: /*.css'].map(
        (meant) => `Write \`${meant}\` (did you mean this?).`,
      ),
    );
  }
});
