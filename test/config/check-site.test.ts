import { join } from 'node:path';
import { test } from 'tap';
import { loadSite } from '../../config/load.ts';
import { placesOf, problemsOf } from './refusal.ts';

/** Three lines; what a test is about begins in line 4. */
const SITE =
  'name: shop\nhosts: [www.example.com, "*.shop.example"]\norigin: { servers: [{ url: http://o.example }] }\n';

for (const { what, yaml, places = [], says, fix } of [
  // Rules that can never match.
  {
    what: 'a rule after one for every path',
    yaml: 'rules:\n  - ttl: 1s\n  - { path: /a, ttl: 2s }\n',
    places: ['6:5 rules[1]'],
    says: /rules\[0\] takes all of it/,
    fix: /above rules\[0\]/,
  },
  {
    what: 'the same path twice',
    yaml: 'rules:\n  - { path: /a, ttl: 1s }\n  - { path: /a, ttl: 2s }\n',
    places: ['6:5 rules[1]'],
  },
  {
    what: 'a pattern inside another',
    yaml: 'rules:\n  - { path: /a/*.css, ttl: 1s }\n  - { path: /a/b/*-*.css, ttl: 2s }\n',
    places: ['6:5 rules[1]'],
  },
  {
    what: 'a pattern around another is no problem',
    yaml: 'rules:\n  - { path: /a/b/*.css, ttl: 1s }\n  - { path: /a/*.css, ttl: 2s }\n',
  },
  {
    what: 'patterns that overlap are no problem',
    yaml: 'rules:\n  - { path: /a/*, ttl: 1s }\n  - { path: /*.css, ttl: 2s }\n',
  },
  { what: '/* is every path', yaml: 'rules:\n  - { path: /*, ttl: 1s }\n  - ttl: 2s\n', places: ['6:5 rules[1]'] },
  {
    what: 'statuses that add up to all',
    yaml: 'rules:\n  - { status: [2xx, 3xx], ttl: 1s }\n  - { path: /a*, status: [4xx, 5xx], ttl: 2s }\n  - { path: /a/b, ttl: 3s }\n',
    places: ['7:5 rules[2]'],
    says: /rules\[0\] and rules\[1\] take all/,
  },
  {
    what: 'a status that is left over is no problem',
    yaml: 'rules:\n  - { status: [2xx, 3xx, 4xx], ttl: 1s }\n  - { path: /a, ttl: 3s }\n',
  },
  {
    what: 'a status inside a class',
    yaml: 'rules:\n  - { status: 4xx, ttl: 1s }\n  - { status: 404, ttl: 3s }\n',
    places: ['6:5 rules[1]'],
  },
  {
    what: 'a status for some of the paths',
    yaml: 'rules:\n  - { path: /a/*, status: 404, ttl: 1s }\n  - { status: 404, ttl: 3s }\n',
  },
  {
    what: 'one path of several',
    yaml: 'rules:\n  - { path: /a/*, ttl: 1s }\n  - { path: [/b, /a/b, /c], ttl: 3s }\n',
    places: ['6:18 rules[1].path[1]'],
    says: /this path can never match here/,
  },
  {
    what: 'all paths of several',
    yaml: 'rules:\n  - { path: [/a/*, /b], ttl: 1s }\n  - { path: [/b, /a/b], ttl: 3s }\n',
    places: ['6:5 rules[1]'],
  },
  {
    what: 'a path with a query',
    yaml: 'rules:\n  - { path: "/search?q=*", ttl: 1s }\n',
    places: ['5:5 rules[0]'],
    says: /without the query/,
    fix: /key\.query/,
  },

  ...['//account/*', '/account;x/*', '/account%3fx', '/a%0ab', '/a/../b', '/a\\\\b'].map((path) => ({
    what: `a path that no request has in the form in which rules see it: ${path}`,
    yaml: `rules:\n  - { path: "${path}", ttl: 1s }\n`,
    places: ['5:5 rules[0]'],
    says: /can never match: /,
  })),
  {
    what: 'a path that is another spelling of one before',
    yaml: 'rules:\n  - { path: /account/*, ttl: 1s }\n  - { path: "/%41ccount/x", ttl: 3s }\n',
    places: ['6:5 rules[1]'],
  },
  {
    what: 'cookies in the key, for a status',
    yaml: 'rules:\n  - { status: 404, ttl: 1s, cookies: key }\n',
    places: ['5:29 rules[0].cookies'],
    says: /before the status is known/,
  },
  { what: 'cookies in the key, for 200', yaml: 'rules:\n  - { status: 2xx, ttl: 1s, cookies: key }\n' },

  // Rules that say nothing, or two things at once.
  {
    what: 'a rule that sets nothing',
    yaml: 'rules:\n  - path: /a\n',
    places: ['5:5 rules[0]'],
    says: /changes nothing/,
  },
  {
    what: 'an exception from a later rule is no problem',
    yaml: 'rules:\n  - path: /api/public/*\n  - { path: /api/*, cache: never }\n',
  },
  {
    what: 'an exception from a rule elsewhere',
    yaml: 'rules:\n  - path: /public/*\n  - { path: /api/*, cache: never }\n',
    places: ['5:5 rules[0]'],
  },
  {
    what: 'an exception for other statuses',
    yaml: 'rules:\n  - { path: /a, status: 404 }\n  - { status: 5xx, cache: never }\n',
    places: ['5:5 rules[0]'],
  },
  {
    what: 'never, with a lifetime',
    yaml: 'rules:\n  - cache: never\n    ttl: 1h\n',
    places: ['6:5 rules[0].ttl'],
    says: /contradicts `cache: never`/,
  },
  {
    what: 'never, with windows and cookies',
    yaml: 'rules:\n  - cache: never\n    stale_while_revalidate: 1h\n    stale_if_error: 1h\n    set_cookie: store\n',
    places: ['6:5 rules[0].stale_while_revalidate', '7:5 rules[0].stale_if_error', '8:5 rules[0].set_cookie'],
  },
  { what: 'never, and browsers may keep it all the same', yaml: 'rules:\n  - { cache: never, browser_ttl: 1m }\n' },

  // Redirects and headers.
  { what: 'a redirect to a host of the site', yaml: 'redirect: { host: www.example.com }\n' },
  { what: 'one host for all', yaml: 'key: { host: www.example.com }\n' },
  {
    what: 'one host for all that is none of them',
    yaml: 'key: { host: example.org }\n',
    places: ['4:14 key.host'],
    fix: 'Add example.org to `hosts`, or name a host that is there.',
  },
  { what: 'a redirect to a host that a wildcard takes', yaml: 'redirect: { host: "de.shop.example:8443" }\n' },
  {
    what: 'a redirect to another host',
    yaml: 'redirect: { host: example.org }\n',
    places: ['4:19 redirect.host'],
    says: /not a host of this site/,
  },
  {
    what: 'a redirect to the name without the star',
    yaml: 'redirect: { host: shop.example }\n',
    places: ['4:19 redirect.host'],
  },
  {
    what: 'a redirect to https at port 80',
    yaml: 'redirect: { https: true, host: "www.example.com:80" }\n',
    places: ['4:32 redirect.host'],
  },
  {
    what: 'changes to framing',
    yaml: 'response_headers:\n  set: { transfer-encoding: chunked }\n  remove: [Content-Length]\n',
    places: ['5:10 response_headers.set.transfer-encoding', '6:12 response_headers.remove[0]'],
  },
  ...(
    [
      ['X-Forwarded-For', /who the visitor is/],
      ['Client-Cert', /who the visitor is/],
      ['remote_user', /who the visitor is/],
      ['X-Original-URL', /which scheme, host or path/],
      ['X-Accel-Redirect', /a server in front/],
      ['Content_Length', /frames the message/],
      ['Transfer-Encoding', /frames the message/],
      ['Host', /frames the message/],
      ['Accept_Language', /is accept-language to many servers/],
      ['X-Requested-With', /passed on in any case/],
    ] as const
  ).map(([name, says]) => ({
    what: `letting ${name} through`,
    yaml: `request_headers: { allow: [${name}] }\n`,
    places: ['4:28 request_headers.allow[0]'],
    says,
  })),
  {
    what: 'letting through what it removes',
    yaml: 'request_headers: { remove: [X-HTTP-Method], allow: [X_HTTP_METHOD, X-HTTP-Method-Override, X_Theme] }\n',
    places: ['4:53 request_headers.allow[0]'],
    says: /`set` or `remove`/,
  },
  {
    what: 'a change to Host',
    yaml: 'request_headers: { set: { Host: a } }\n',
    places: ['4:27 request_headers.set.Host'],
    fix: /origin\.host_header/,
  },
] as { what: string; yaml: string; places?: string[]; says?: RegExp; fix?: RegExp }[]) {
  test(`a site: ${what}`, async (t) => {
    const directory = t.testdir({ 'site.yaml': SITE + yaml });
    const problems = problemsOf(() => loadSite(join(directory, 'site.yaml')));
    t.same(
      placesOf(directory, problems),
      places.map((place) => `site.yaml:${place}`),
    );
    if (says) t.match(problems[0]?.message, says);
    if (fix) t.match(problems[0]?.fix, fix);
  });
}

test('a host that is listed twice in one site is refused', async (t) => {
  const directory = t.testdir({ 'site.yaml': SITE.replace('[www', '[www.example.com, www') });
  const problems = problemsOf(() => loadSite(join(directory, 'site.yaml')));
  t.same(placesOf(directory, problems), ['site.yaml:2:26 hosts[1]']);
});
