/** Requests with the method PURGE, and what they purge. */
import fc from 'fast-check';
import { test } from 'tap';
import { cacheKey } from '../../cache/key.ts';
import { siteSchema } from '../../config/schema.ts';
import { readPurge } from '../../edge/purge-method.ts';
import { HttpError } from '../../http/errors.ts';
import { parseRequestTarget } from '../../http/request-target.ts';
import type { Purge } from '../../journal/journal.ts';

const SITE = siteSchema.parse({
  name: 'blog',
  hosts: ['blog.test'],
  origin: { servers: [{ url: 'http://127.0.0.1:1' }] },
  tags: { fields: ['Cache-Tag', 'Surrogate-Key', 'xkey', 'X-Cache-Tags'] },
  purge_method: { from: ['127.0.0.1'] },
});

function purge(path: string, fields: readonly string[] = []): Purge[] {
  const headers = ['Host', 'blog.test', ...fields];
  const keyed = cacheKey(SITE, 'http', parseRequestTarget('PURGE', path, headers), headers);
  return readPurge({ site: SITE, keyed, headers, ip: '127.0.0.1' });
}

const METHOD = 'X-Purge-Method';
const url = (path: string) => [{ kind: 'url', selector: `//blog.test${path}` }];
const below = (path: string) => [{ kind: 'prefix', selector: `//blog.test${path}` }];
const tags = (...names: string[]) => names.map((selector) => ({ kind: 'tag', selector }));
const REFUSED = 'bad_purge';

interface Case {
  readonly path: string;
  readonly fields?: readonly string[];
  readonly purged: readonly object[] | typeof REFUSED;
}

/** Proxy Cache Purge 5.4 (Varnish HTTP Purge), W3 Total Cache 2.8 and WP Rocket 3.17. */
const OF_PLUGINS: Readonly<Record<string, Case>> = {
  'Proxy Cache Purge: a post': { path: '/2026/11/post/', fields: [METHOD, 'default'], purged: url('/2026/11/post/') },
  'Proxy Cache Purge: everything': { path: '/.*', fields: [METHOD, 'regex'], purged: below('/') },
  'Proxy Cache Purge: a feed': { path: '/feed/', fields: [METHOD, 'default'], purged: url('/feed/') },
  'Proxy Cache Purge: tags': {
    path: '/',
    fields: [METHOD, 'tags', 'X-Cache-Tags-Pattern', 'p-12|t-3|home'],
    purged: tags('p-12', 't-3', 'home'),
  },
  'Proxy Cache Purge: tags that match whole': {
    path: '/',
    fields: [METHOD, 'tags', 'X-Cache-Tags-Pattern', '(^|,)p-12(,|$)|\\bt-3\\b'],
    purged: tags('p-12', 't-3'),
  },
  'W3 Total Cache: a post': { path: '/2026/11/post/', purged: url('/2026/11/post/') },
  'W3 Total Cache: a query': { path: '/?p=12', purged: url('/?p=12') },
  'W3 Total Cache: everything': { path: '/.*', purged: below('/') },
  'W3 Total Cache: everything of a site in a folder': { path: '/shop/.*', purged: below('/shop/') },
  'WP Rocket: a post': { path: '/2026/11/post/', fields: [METHOD, 'default'], purged: url('/2026/11/post/') },
  'WP Rocket: a post and its pages': { path: '/post/.*', fields: [METHOD, 'regex'], purged: below('/post/') },
  'WP Rocket: everything': { path: '/.*', fields: [METHOD, 'regex'], purged: below('/') },
};

const OTHERS: Readonly<Record<string, Case>> = {
  'an asterisk alone': { path: '/*', purged: REFUSED },
  'an asterisk in the middle': { path: '/blog/*/feed', purged: REFUSED },
  'an asterisk in the query': { path: '/blog?*', purged: REFUSED },
  'an asterisk, meant so': { path: '/a*b', fields: [METHOD, 'exact'], purged: url('/a*b') },
  'an expression, meant so': { path: '/.*', fields: [METHOD, 'exact'], purged: url('/.*') },
  'regex without an expression': { path: '/blog/', fields: [METHOD, 'regex'], purged: REFUSED },
  'regex with another expression': { path: '/[0-9]+/.*', fields: [METHOD, 'regex'], purged: REFUSED },
  'an expression before the last one': { path: '/.*/feed/.*', purged: REFUSED },
  alternatives: { path: '/a|/b.*', fields: [METHOD, 'regex'], purged: REFUSED },
  'a path that only begins so': { path: '/blog.*', fields: [METHOD, 'regex'], purged: below('/blog') },
  'the method in capitals': { path: '/.*', fields: [METHOD, 'REGEX'], purged: below('/') },
  'an unknown method': { path: '/', fields: [METHOD, 'wildcard'], purged: REFUSED },
  'tags without a pattern': { path: '/', fields: [METHOD, 'tags'], purged: REFUSED },
  'tags with an expression': { path: '/', fields: [METHOD, 'tags', 'X-Cache-Tags-Pattern', 'p-.*'], purged: REFUSED },
  'tags in a field': { path: '/', fields: ['Cache-Tag', 'a,b c'], purged: tags('a', 'b c') },
  'too long a tag': { path: '/', fields: ['xkey', 'x'.repeat(2_000)], purged: REFUSED },
};

for (const [name, { path, fields, purged }] of Object.entries({ ...OF_PLUGINS, ...OTHERS })) {
  test(`PURGE, ${name}`, async (t) => {
    if (purged === REFUSED) t.throws(() => purge(path, fields), { code: REFUSED, status: 400 });
    else t.match(purge(path, fields), purged);
  });
}

test('PURGE of a target that looks like a pattern purges below it or is refused, never that URL alone', async (t) => {
  const parts = fc.array(fc.constantFrom('*', '.*', '.', '/', 'a', '?', '+', '[', '|'), { maxLength: 8 });
  const methods = fc.constantFrom(undefined, 'default', 'regex');
  fc.assert(
    fc.property(parts, methods, (path, method) => {
      const target = `/${path.join('')}`;
      if (!target.includes('*')) return;
      let kinds: string[];
      try {
        kinds = purge(target, method === undefined ? [] : [METHOD, method]).map(({ kind }) => kind);
      } catch (error) {
        if (!(error instanceof HttpError)) throw error;
        return; // said so
      }
      if (kinds.join() !== 'prefix' || !target.endsWith('.*')) throw new Error(kinds.join());
    }),
  );
  t.pass();
});
