import fc from 'fast-check';
import { test } from 'tap';
import { compileRules, hostMatcher } from '../../config/match.ts';
import { type SiteConfig, siteSchema } from '../../config/schema.ts';

function site(values: Record<string, unknown>): SiteConfig {
  return siteSchema.parse({ name: 'x', hosts: ['*'], origin: { servers: [{ url: 'http://o.example' }] }, ...values });
}

test('the site of a host is the exact one, then the longest wildcard, then any', async (t) => {
  const sites = [
    site({ name: 'any', hosts: ['*'] }),
    site({ name: 'wide', hosts: ['*.example.com'] }),
    site({ name: 'narrow', hosts: ['*.img.example.com'] }),
    site({ name: 'exact', hosts: ['www.example.com', '[::1]'] }),
  ];
  for (const order of [sites, sites.toReversed()]) {
    const siteOf = hostMatcher(order);
    for (const [host, name] of Object.entries({
      'www.example.com': 'exact',
      '[::1]': 'exact',
      'a.example.com': 'wide',
      'a.www.example.com': 'wide',
      'a.b.img.example.com': 'narrow',
      'img.example.com': 'wide',
      'example.com': 'any',
      'notexample.com': 'any',
      '.example.com': 'any',
      '': 'any',
    })) {
      t.equal(siteOf(host)?.name, name, host);
    }
    t.equal(siteOf('__proto__')?.name, 'any');
    t.equal(siteOf('constructor')?.name, 'any');
    t.equal(siteOf(`${'a.'.repeat(200)}example.com`)?.name, 'any', 'longer than a name can be');
  }
});

test('a missing host matches no site', async (t) => {
  const siteOf = hostMatcher([site({ hosts: ['a.example', '*.b.example'] })]);
  t.equal(siteOf('c.example'), undefined);
  t.equal(siteOf('b.example'), undefined);
  t.equal(siteOf('x.b.example')?.name, 'x');
  t.equal(hostMatcher([])('a.example'), undefined);
});

const RULES = compileRules(
  site({
    rules: [
      { path: '/api/open/*', status: 404, ttl: '10s' },
      { path: ['/api/*', '/account'], cache: 'never' },
      { status: '5xx', cache: 'never' },
      { path: '/a/*.css', ttl: '1h' },
      { status: [404, 410], ttl: '5s' },
    ],
  }),
);

for (const { path, status, expected } of [
  { path: '/api/open/x', status: 404, expected: { ttl: 10_000 } },
  { path: '/api/open/x', status: 200, expected: { cache: 'never' } },
  { path: '/api/x', status: 404, expected: { cache: 'never' } },
  { path: '/account', status: 200, expected: { cache: 'never' } },
  { path: '/accounts', status: 200, expected: { cache: 'allow', ttl: undefined } },
  { path: '/a/x.css', status: 200, expected: { ttl: 3_600_000 } },
  { path: '/a/x.css', status: 404, expected: { ttl: 3_600_000 } },
  { path: '/a/x.css', status: 503, expected: { cache: 'never' } },
  { path: '/x', status: 410, expected: { ttl: 5_000 } },
  { path: '/x', status: 200, expected: { cache: 'allow', origin_headers: 'honour', set_cookie: 'refuse' } },
  { path: '/x', status: 999, expected: { cache: 'allow' } },
]) {
  test(`the rule of ${path} with ${status}`, async (t) => {
    t.match(RULES.ruleFor(path, status), expected);
  });
}

for (const { what, rules, bypasses } of [
  { what: 'no rules', rules: [], bypasses: false },
  { what: 'never', rules: [{ path: '/x', cache: 'never' }], bypasses: true },
  { what: 'never, elsewhere', rules: [{ path: '/y', cache: 'never' }], bypasses: false },
  { what: 'never for a status', rules: [{ path: '/x', status: 404, cache: 'never' }], bypasses: false },
  { what: 'allowed before never', rules: [{ path: '/x' }, { cache: 'never' }], bypasses: false },
  { what: 'a status allowed before never', rules: [{ status: 404, ttl: '1s' }, { cache: 'never' }], bypasses: false },
  {
    what: 'a status allowed elsewhere',
    rules: [{ path: '/y', status: 404, ttl: '1s' }, { cache: 'never' }],
    bypasses: true,
  },
  {
    what: 'a status never, then all never',
    rules: [{ status: 404, cache: 'never' }, { cache: 'never' }],
    bypasses: true,
  },
  { what: 'every status never', rules: [{ status: ['2xx', '3xx', '4xx', '5xx'], cache: 'never' }], bypasses: true },
  {
    what: 'every status never, one after the other',
    rules: ['2xx', '3xx', '4xx', '5xx'].map((status) => ({ status, cache: 'never' })),
    bypasses: true,
  },
  {
    what: 'allowed for a status that is never already',
    rules: [{ status: '4xx', cache: 'never' }, { path: '/x', status: 404, ttl: '1s' }, { cache: 'never' }],
    bypasses: true,
  },
]) {
  test(`a path ${bypasses ? 'bypasses the cache' : 'is looked up'}: ${what}`, async (t) => {
    t.equal(compileRules(site({ rules })).bypasses('/x'), bypasses);
  });
}

test('bypasses exactly the paths at which no status is ever stored', async (t) => {
  const statuses = fc.constantFrom(undefined, '2xx', '4xx', 404, ['2xx', '3xx', '4xx', '5xx'], ['3xx', '5xx']);
  const rule = fc.record({
    path: fc.constantFrom('/*', '/a*', '/ab', ['/b', '/a/*']),
    status: statuses,
    cache: fc.constantFrom('allow', 'never'),
  });
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 6 }), fc.constantFrom('/', '/a', '/ab', '/a/b', '/b'), (rules, path) => {
      const compiled = compileRules(site({ rules }));
      const isNever = Array.from({ length: 400 }, (_, index) => compiled.ruleFor(path, 200 + index)).every(
        ({ cache }) => cache === 'never',
      );
      return compiled.bypasses(path) === isNever;
    }),
    { numRuns: 500 },
  );
  t.pass('held');
});
