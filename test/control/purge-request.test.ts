/** From the names in a call to selectors: all errors at once, each selector once, and only what a token may purge. */
import fc from 'fast-check';
import { test } from 'tap';
import { ApiError } from '../../control/errors.ts';
import { checkCount, checkScope, selectorsOf } from '../../control/purge-request.ts';
import type { PurgeRequest } from '../../control/schemas.ts';
import { siteDirectory } from '../../control/site-directory.ts';
import { SITES } from './control.ts';

const DIRECTORY = siteDirectory([{ sites: SITES }]);

/** Returns the error of a call. */
function refusal(call: () => unknown): ApiError | undefined {
  try {
    call();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  return undefined;
}

const selectors = (request: object) =>
  selectorsOf(request as PurgeRequest, DIRECTORY).map(
    ({ selector: { kind, site, selector } }) => `${kind} ${site} ${selector}`,
  );

test('a name that occurs twice, in two spellings, is one selector', async (t) => {
  t.same(selectors({ hosts: ['www.example.com', 'WWW.EXAMPLE.COM'] }), ['host shop www.example.com']);
  const urls = ['https://www.example.com/a', 'http://www.example.com/a', 'https://www.example.com/%61'];
  t.equal(new Set(selectors({ files: urls })).size, selectors({ files: urls }).length);
});

test('every error of a call is reported, with its place and a fix', async (t) => {
  const error = refusal(() =>
    selectors({
      files: ['https://www.example.com/', 'https://unknown.example/', 'nonsense'],
      tags: ['a'],
      prefixes: ['unknown.example/'],
      hosts: ['unknown.example'],
    }),
  );
  t.equal(error?.code, 'unpurgeable');
  t.same(
    error?.errors.map(({ pointer }) => pointer),
    ['/files/1', '/files/2', '/tags/0', '/prefixes/0', '/hosts/0'],
  );
  for (const { fix, detail } of error?.errors ?? []) t.ok(fix && detail);
});

test('a site that is named has to have all that is named', async (t) => {
  t.match(
    refusal(() => selectors({ site: 'shop', hosts: ['www.example.com', 'blog.example.com'] })),
    {
      code: 'unpurgeable',
      errors: [{ pointer: '/hosts/1', detail: 'it is of the site blog' }],
    },
  );
  t.match(
    refusal(() => selectors({ site: 'shpo', tags: ['a'] })),
    {
      errors: [{ pointer: '/site', fix: 'Did you mean shop?' }],
    },
  );
  t.match(
    refusal(() => selectors({})),
    { code: 'invalid_request', errors: [{ pointer: '' }] },
  );
});

test('everything is one site where one is named, and the whole network where none is', async (t) => {
  t.same(selectors({ purge_everything: true }), ['everything * ']);
  t.same(selectors({ purge_everything: true, site: 'shop' }), ['site shop ']);
});

for (const { body, code } of [
  { body: { files: Array(1_000).fill('a') }, code: undefined },
  { body: { files: Array(600).fill('a'), tags: Array(401).fill('a') }, code: 'too_many_selectors' },
  { body: { surrogate_keys: Array(1_001).fill('a') }, code: 'too_many_selectors' },
  { body: Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`k${i}`, 1])), code: 'invalid_request' },
  {
    body: { files: [{ url: 'a', headers: Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`k${i}`, 1])) }] },
    code: 'invalid_request',
  },
  { body: { files: [null, 7, 'a', []] }, code: undefined },
  { body: { files: 'a', tags: { length: 5_000 } }, code: undefined },
  { body: null, code: undefined },
  { body: 'a', code: undefined },
]) {
  test(`a body ${JSON.stringify(body).slice(0, 40)} (${JSON.stringify(body).length}) ${code === undefined ? 'has no more members than a call may have' : `is refused: ${code}`}`, async (t) => {
    t.equal(refusal(() => checkCount(body))?.code, code);
  });
}

test('a token purges its own sites and kinds, and all that it may not is reported', async (t) => {
  const kind = fc.constantFrom(
    'url' as const,
    'tag' as const,
    'prefix' as const,
    'host' as const,
    'everything' as const,
  );
  const site = fc.constantFrom('shop', 'blog', '*');
  const named = fc.record({
    kind: fc.constantFrom('url', 'variant', 'tag', 'prefix', 'pattern', 'host', 'site', 'everything'),
    site,
  });
  const needed: Record<string, string> = { variant: 'url', pattern: 'prefix', site: 'everything' };
  fc.assert(
    fc.property(
      fc.uniqueArray(kind),
      fc.uniqueArray(site, { minLength: 1 }),
      fc.array(named, { maxLength: 6 }),
      (kinds, sites, list) => {
        const asked = list.map((one, index) => ({ selector: { ...one, selector: 'x' }, pointer: `/${index}` }));
        const forbidden = asked.filter(({ selector }) => {
          const mayKind = kinds.some((own) => own === (needed[selector.kind] ?? selector.kind));
          return !mayKind || !(sites.includes('*') || sites.includes(selector.site));
        });
        const error = refusal(() => checkScope({ kinds, sites, read: false }, asked as never));
        t.same(
          error?.errors.map(({ pointer }) => pointer) ?? [],
          forbidden.map(({ pointer }) => pointer),
        );
      },
    ),
    { numRuns: 500 },
  );
});

test('a pattern has a whole host of a site, and a star behind it', async (t) => {
  t.same(selectors({ patterns: ['www.example.com/*.css', 'https://WWW.example.com/*.css'] }), [
    'pattern shop //www.example.com/*.css',
  ]);
  t.same(selectors({ patterns: ['www.example.com/a%62/*?page=*'] }), ['pattern shop //www.example.com/ab/*?page=*']);
  for (const pattern of ['www.example.com/a', '*', '*/a', '*.example.com/a', 'www.example.com*', 'http://*/a', '/*']) {
    const error = refusal(() => selectors({ patterns: [pattern] }));
    t.equal(error?.code, 'unpurgeable', pattern);
    t.match(error?.errors, [{ pointer: '/patterns/0', detail: String, fix: String }]);
  }
  for (const pattern of [`www.example.com/${'*'.repeat(17)}`, `www.example.com/*${'a'.repeat(512)}`]) {
    t.match(
      refusal(() => selectors({ patterns: [pattern] })),
      { code: 'unpurgeable' },
    );
  }
});
