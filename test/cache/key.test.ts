import fc from 'fast-check';
import { test } from 'tap';
import { cacheKey, type KeyedRequest, siblingKey } from '../../cache/key.ts';
import { type SiteConfig, siteSchema } from '../../config/schema.ts';
import type { RawHeaders } from '../../http/fields/headers.ts';
import { parseRequestTarget } from '../../http/request-target.ts';
import { fuzzer } from '../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

function site(key: Record<string, unknown> = {}): SiteConfig {
  return siteSchema.parse({ name: 'shop', hosts: ['*'], origin: { servers: [{ url: 'http://o.test' }] }, key });
}

const MANY = Array.from({ length: 300 }, (_, i) => `a${i}=1`).join('; ');

function keyed(config: SiteConfig, raw: string, headers: RawHeaders = [], host = 'shop.test'): KeyedRequest {
  const all = ['Host', host, ...headers];
  return cacheKey(config, 'http', parseRequestTarget('GET', raw, all), all);
}

for (const { rule, key, raw, target } of [
  { rule: 'everything', key: {}, raw: '/a?b=1&a=2', target: '/a?b=1&a=2' },
  { rule: 'an empty query is not none', key: {}, raw: '/a?', target: '/a?' },
  { rule: 'no query', key: { query: 'none' }, raw: '/a?b=1', target: '/a' },
  { rule: 'only these', key: { query: { allow: ['b'] } }, raw: '/a?a=1&b=2&c=3&b=4', target: '/a?b=2&b=4' },
  { rule: 'only these, none there', key: { query: { allow: ['x'] } }, raw: '/a?a=1', target: '/a' },
  { rule: 'all but these', key: { query: { deny: ['utm_*', 'b'] } }, raw: '/a?utm_x=1&a=1&b', target: '/a?a=1' },
  { rule: 'escaped names count, too', key: { query: { deny: ['utm_*'] } }, raw: '/a?%75tm_x=1&a=1', target: '/a?a=1' },
  { rule: 'a plus is a space', key: { query: { deny: ['a b'] } }, raw: '/a?a+b=1&a%20b=2&c', target: '/a?c' },
  { rule: 'a broken escape is what it is', key: { query: { allow: ['%zz'] } }, raw: '/a?%zz=1&b', target: '/a?%zz=1' },
  {
    rule: 'a broken escape leaves the others what they are',
    key: { query: { deny: ['utm_*'] } },
    raw: '/a?%75tm_%ff=1&utm%5F%zz&%&%7&%75tm%5&b%75tm_',
    target: '/a?%&%7&%75tm%5&b%75tm_',
  },
  { rule: 'a name is decoded once', key: { query: { deny: ['a'] } }, raw: '/a?%2561=1&%61=2', target: '/a?%2561=1' },
  { rule: 'names beyond ASCII', key: { query: { allow: ['é'] } }, raw: '/a?%c3%A9=1&%c3=2', target: '/a?%c3%A9=1' },
  { rule: 'names are not prefixes', key: { query: { deny: ['utm'] } }, raw: '/a?utm_x=1', target: '/a?utm_x=1' },
  { rule: 'a star alone is every name', key: { query: { deny: ['*'] } }, raw: '/a?b=1', target: '/a' },
  {
    rule: 'sorted by name, repeated names in order',
    key: { sort_query: true },
    raw: '/a?b=2&a=1&b=1',
    target: '/a?a=1&b=2&b=1',
  },
  { rule: 'sorting is by what names mean', key: { sort_query: true }, raw: '/a?b=1&%61=2', target: '/a?%61=2&b=1' },
  {
    rule: 'sorting keeps the order of a name, however its bytes are written',
    key: { sort_query: true },
    raw: '/a?%ff=1&%FF=2&%fF=3&a=0',
    target: '/a?a=0&%ff=1&%FF=2&%fF=3',
  },
  { rule: 'escapes that need none', key: {}, raw: '/%7euser/%41', target: '/~user/A' },
  { rule: 'escapes in upper case', key: {}, raw: '/%c3%a9', target: '/%C3%A9' },
  { rule: 'reserved characters stay escaped', key: {}, raw: '/a%3fb%26', target: '/a%3Fb%26' },
  { rule: 'an escaped percent is not unescaped twice', key: {}, raw: '/%2541', target: '/%2541' },
]) {
  test(`target: ${rule}: ${raw}`, async (t) => {
    const config = site(key);
    const one = keyed(config, raw);
    t.equal(one.target, target);
    t.equal(one.key, one.prefix + one.target + one.suffix);
    t.equal(keyed(config, one.target).key, one.key, 'the next tier makes the same key of it');
    t.equal(siblingKey(config, one, raw), one.key, 'and so does an invalidation');
  });
}

for (const { what, key, a, b } of [
  { what: 'an absent header and an empty one', key: { headers: ['X-Kind'] }, a: [], b: ['X-Kind', ''] },
  { what: 'header values', key: { headers: ['X-Kind'] }, a: ['X-Kind', 'a'], b: ['X-Kind', 'A'] },
  { what: 'one header for another', key: { headers: ['X-A', 'X-B'] }, a: ['X-A', '1'], b: ['X-B', '1'] },
  { what: 'an absent cookie and an empty one', key: { cookies: ['c'] }, a: [], b: ['Cookie', 'c='] },
  { what: 'cookie values', key: { cookies: ['c'] }, a: ['Cookie', 'c=1'], b: ['Cookie', 'c=2'] },
  { what: 'a second cookie of the name', key: { cookies: ['c'] }, a: ['Cookie', 'c=1'], b: ['Cookie', 'c=1; c=2'] },
  {
    what: 'the order of cookies of one name',
    key: { cookies: ['c'] },
    a: ['Cookie', 'c=2; c=1'],
    b: ['Cookie', 'c=1; c=2'],
  },
  {
    what: 'a cookie in another line',
    key: { cookies: ['c'] },
    a: ['Cookie', 'c=1'],
    b: ['Cookie', 'c=1', 'Cookie', 'c=2'],
  },
  {
    what: 'cookies that a pattern takes',
    key: { cookies: ['ab_*'] },
    a: ['Cookie', 'ab_1=x'],
    b: ['Cookie', 'ab_1=y'],
  },
  {
    what: 'names of cookies of one pattern',
    key: { cookies: ['ab_*'] },
    a: ['Cookie', 'ab_1=x'],
    b: ['Cookie', 'ab_2=x'],
  },
  { what: 'what PHP reads', key: { cookies: ['a_b'] }, a: [], b: ['Cookie', 'a.b=1'] },
  { what: 'an array of PHP', key: { cookies: ['ab'] }, a: [], b: ['Cookie', 'ab[c]=1'] },
  { what: 'names that are escaped', key: { cookies: ['ab'] }, a: [], b: ['Cookie', '%61b=1'] },
  { what: 'a cookie in quotes', key: { cookies: ['c'] }, a: ['Cookie', 'c=1'], b: ['Cookie', 'c="1"'] },
  { what: 'a cookie behind a space', key: { cookies: ['c'] }, a: ['Cookie', 'd=1'], b: ['Cookie', 'd=1 c=2'] },
  { what: 'too many cookies to read', key: { cookies: ['c'] }, a: ['Cookie', MANY], b: ['Cookie', `${MANY}x`] },
  { what: 'spaces that are none', key: { cookies: ['c'] }, a: ['Cookie', 'c=1'], b: ['Cookie', 'c=1\xa0'] },
  { what: 'cookie names have a case', key: { cookies: ['c'] }, a: ['Cookie', 'c=1'], b: ['Cookie', 'C=1'] },
  {
    what: 'a cookie value that looks like a line of the key',
    key: { cookies: ['a', 'b'] },
    a: ['Cookie', 'a=1; b=2'],
    b: ['Cookie', 'a=1 b=2'],
  },
]) {
  test(`two keys: ${what}`, async (t) => {
    const config = site(key);
    t.not(keyed(config, '/', a).key, keyed(config, '/', b).key);
  });
}

for (const { what, key, a, b } of [
  { what: 'header names in another case', key: { headers: ['X-Kind'] }, a: ['x-kind', 'a'], b: ['X-KIND', 'a'] },
  { what: 'lines of a list', key: { headers: ['X-Kind'] }, a: ['X-Kind', 'a, b'], b: ['X-Kind', 'a', 'X-Kind', 'b'] },
  { what: 'spaces around a name', key: { cookies: ['c'] }, a: ['Cookie', 'c=1'], b: ['Cookie', ' c =1'] },
  { what: 'spaces before a value', key: { cookies: ['c'] }, a: ['Cookie', 'c=1'], b: ['Cookie', 'c= 1'] },
  { what: 'the order of names', key: { cookies: ['*'] }, a: ['Cookie', 'c=1; d=1'], b: ['Cookie', 'd=1; c=1'] },
  { what: 'cookies that do not count', key: { cookies: ['c'] }, a: ['Cookie', 'c=1; d=1'], b: ['Cookie', 'd=2;c=1'] },
  { what: 'headers that do not count', key: { headers: ['X-Kind'] }, a: ['X-Other', '1'], b: [] },
]) {
  test(`one key: ${what}`, async (t) => {
    const config = site(key);
    t.equal(keyed(config, '/', a).key, keyed(config, '/', b).key);
  });
}

test('the default port is left out of a key; other ports, the host and the scheme count', async (t) => {
  const config = site();
  t.equal(keyed(config, '/', [], 'shop.test:80').key, keyed(config, '/', [], 'SHOP.test').key);
  const target = parseRequestTarget('GET', '/', ['Host', 'shop.test:443']);
  t.equal(cacheKey(config, 'https', target, []).key, 'https://shop.test/');
  const keys = [
    ...['shop.test', 'shop.test:443', 'shop.test:8080', 'shop.testx', 'www.shop.test'].map(
      (host) => keyed(config, '/', [], host).key,
    ),
    cacheKey(config, 'https', target, []).key,
  ];
  t.equal(new Set(keys).size, keys.length);
});

const anyPath = fc.stringMatching(/^\/(?:[A-Za-z0-9._~!$&'()*+,;=:@"<>^`{|}[\]-]|%[2-7][0-9a-fA-F]|\/){0,12}$/);
const anyQuery = fc.option(fc.stringMatching(/^(?:[a-c]|=|&|%61|%26|%3D|\+|\?|\/){0,12}$/), { nil: undefined });
/** Arbitrary field value: no control characters. */
const anyValue = fc.stringMatching(/^[ -~\xa0-\xff]{0,10}$/);

const anyRequest = fc.record({
  host: fc.constantFrom('shop.test', 'shop.test:8080', 'shop.test.x', 'x'),
  path: anyPath,
  query: anyQuery,
  a: fc.option(anyValue, { nil: undefined }),
  b: fc.option(anyValue, { nil: undefined }),
  cookies: fc.array(fc.tuple(fc.constantFrom('c', 'd', 'e'), fc.stringMatching(/^[!-:<-~]{0,4}$/)), { maxLength: 3 }),
});

type AnyRequest = typeof anyRequest extends fc.Arbitrary<infer T> ? T : never;

test('a key never stands for two targets, key headers or key cookies', async (t) => {
  const config = site({ headers: ['X-A', 'X-B'], cookies: ['c', 'd'] });
  const describe = (request: AnyRequest) => {
    const { host, path, query, a, b, cookies } = request;
    const headers: string[] = [];
    if (a !== undefined) headers.push('X-A', a);
    if (b !== undefined) headers.push('X-B', b);
    if (cookies.length > 0) headers.push('Cookie', cookies.map(([name, value]) => `${name}=${value}`).join('; '));
    const raw = query === undefined ? path : `${path}?${query}`;
    let one: KeyedRequest;
    try {
      one = keyed(config, raw, headers, host);
    } catch {
      return undefined; // a target that is refused
    }
    const list = (value: string | undefined) =>
      value?.includes(',')
        ? value
            .split(',')
            .map((member) => member.trim())
            .filter((member) => member !== '')
            .join()
        : value?.trim();
    const of = (name: string) => cookies.filter((cookie) => cookie[0] === name).map((cookie) => cookie[1]);
    const quoted = a?.includes('"') || b?.includes('"');
    return { key: one.key, is: JSON.stringify([host, one.target, list(a), list(b), of('c'), of('d')]), quoted };
  };
  fuzz(
    'a key never stands for two targets, key headers or key cookies',
    fc.property(anyRequest, anyRequest, fc.boolean(), fc.boolean(), (one, other, samePath, sameRest) => {
      const merged = { ...other, ...(samePath && { path: one.path, query: one.query, host: one.host }) };
      const a = describe(one);
      const b = describe(sameRest ? { ...one, path: merged.path, query: merged.query } : merged);
      if (a === undefined || b === undefined || a.quoted || b.quoted) return true;
      return (a.key === b.key) === (a.is === b.is);
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});

test('the target of a key makes the same key again, whatever the rules', async (t) => {
  const rules = fc.record({
    query: fc.constantFrom<unknown>('all', 'none', { allow: ['a', 'b*'] }, { deny: ['a', 'b*'] }),
    sort_query: fc.boolean(),
  });
  fuzz(
    'the target of a key makes the same key again, whatever the rules',
    fc.property(anyPath, anyQuery, rules, (path, query, key) => {
      const config = site(key);
      let one: KeyedRequest;
      try {
        one = keyed(config, query === undefined ? path : `${path}?${query}`);
      } catch {
        return true;
      }
      return keyed(config, one.target).key === one.key && siblingKey(config, one, one.target) === one.key;
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});
