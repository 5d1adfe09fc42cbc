import fc from 'fast-check';
import { test } from 'tap';
import { compileRules } from '../../config/match.ts';
import { NO_PATH, rulePath, rulePattern } from '../../config/rule-path.ts';
import { siteSchema } from '../../config/schema.ts';
import { fitsExtension, STATIC_EXTENSIONS } from '../../config/static-types.ts';
import { fuzzer } from '../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

for (const [path, form] of [
  ['/', '/'],
  ['/a/b.css', '/a/b.css'],
  ['/Account/X.css', '/account/x.css'],
  ['//account//x.css', '/account/x.css'],
  ['/account%2fx.css', '/account/x.css'],
  ['/account%5cx.css', '/account/x.css'],
  ['/%61ccount/x.css', '/account/x.css'],
  ['/account;x.css', '/account'],
  ['/account;v=1/x.css;v=2', '/account/x.css'],
  ['/account%3bx.css', '/account'],
  ['/account%3fx.css', '/account'],
  ['/account%23x.css', '/account'],
  ['/account%0ax.css', '/account'],
  ['/account%7fx.css', '/account'],
  ['/account%20x.css', '/account x.css'],
  ['/account%252fx.css', '/account%2fx.css'],
  ['/account/..%3b/b', NO_PATH],
  ['/account/.%3b/b', NO_PATH],
  ['/account/..%23', NO_PATH],
  ['/account/..%3fx.css', NO_PATH],
  ['/account/..%0a/x.css', NO_PATH],
  ['/account/...%23', '/account/...'],
  ['/account;x%2fy.css', NO_PATH],
  ['/account;x%3f/y.css', NO_PATH],
  ['/account;%0a/y.css', NO_PATH],
] as const) {
  test(`rules see ${path} as ${form || 'no path'}`, async (t) => t.equal(rulePath(path), form));
}

test('paths whose dots only some servers resolve have no form', async () => {
  const end = fc.constantFrom('%3b', '%3B', '%3f', '%23', '%0a', '%0d%0a', '%7f');
  const rest = fc.constantFrom('', '/', '/x.css', 'x', '%2fx', '/account');
  fuzz(
    'paths whose dots only some servers resolve have no form',
    fc.property(fc.constantFrom('.', '..', '%2e', '.%2E'), end, rest, (dots, ends, more) => {
      for (const before of ['/', '/account/', '/account%2f', '/account//', '/account%5C'])
        if (rulePath(`${before}${dots}${ends}${more}`) !== NO_PATH) return false;
      return true;
    }),
  );
});

test('the form of a path is idempotent', async () => {
  const anyPath = fc.stringMatching(/^\/(?:[aA.;/]|%2f|%5C|%3b|%3f|%23|%0a|%41|%25|%2e|%20){0,14}$/);
  fuzz(
    'the form of a path is idempotent',
    fc.property(anyPath, (path) => {
      const form = rulePath(path);
      if (form === NO_PATH) return true;
      const escaped = escapedPath(form);
      return rulePath(escaped) === form;
    }),
  );
});

/** Escapes what a path cannot have, or has for something else. */
function escapedPath(path: string): string {
  return path.replace(/[^A-Za-z0-9/.~_-]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function decode(path: string): string {
  return path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

const withoutParameters = (path: string): string => path.replace(/;[^/]*/g, '');
const joined = (path: string): string => path.replace(/\/{2,}/g, '/');

/** Interpretations of a path by kinds of servers. */
const SERVERS: Readonly<Record<string, (path: string) => string>> = {
  'takes it as it is': (path) => decode(path),
  'joins slashes (nginx, Apache)': (path) => joined(decode(path)),
  'keeps escaped slashes (Node, Go)': (path) => decode(path.replace(/%2f/gi, '%252f')).replace(/%2f/gi, '/'),
  'drops parameters, then decodes (Tomcat, Spring)': (path) => joined(decode(withoutParameters(path))),
  'decodes, then drops parameters': (path) => joined(withoutParameters(decode(path))),
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what ends a path for servers written in C
  'ends at a control character (C)': (path) => decode(path).replace(/[\0-\x1f].*/s, ''),
  'decodes, then looks for a query': (path) => decode(path).replace(/[?#].*/s, ''),
  'takes a backslash for a slash, and no case (IIS)': (path) => decode(path).replaceAll('\\', '/').toLowerCase(),
};

/** A path and another spelling of it. */
const anySpelling = fc
  .array(
    fc.tuple(
      fc.constantFrom(
        'account',
        'assets',
        'x.css',
        'app.js',
        'a',
        '.well-known',
        'x%3f',
        'b%2fc',
        'd;e',
        'F',
        'a%5cb',
        'g%0a',
      ),
      fc.constantFrom('/', '//', '%2f', '/', '%5c', ';v=1/', '%3b/', '/', ';x%2f'),
      fc.boolean(),
    ),
    { minLength: 1, maxLength: 5 },
  )
  .map((parts) => `/${parts.map(([name, end, up]) => (up ? name.toUpperCase() : name) + end).join('')}`);

const SITE = siteSchema.parse({
  name: 'shop',
  hosts: ['*'],
  origin: { servers: [{ url: 'http://o.test' }] },
  rules: [
    { path: ['/account', '/account/*', '/a/*', '/*/b/*'], cache: 'never' },
    { path: ['/*.css', '/*.js'], ttl: '1h' },
    { path: '/assets/*', ttl: '2h' },
    { path: '/*', ttl: '3h' },
  ],
});

for (const [server, read] of Object.entries(SERVERS)) {
  test(`for a server that ${server}, the rule of the path that it sees counts, or nothing is stored`, async (t) => {
    const rules = compileRules(SITE);
    fuzz(
      `for a server that ${server}, the rule of the path that it sees counts, or nothing is stored`,
      fc.property(anySpelling, (path) => {
        const seen = rulePath(escapedPath(read(path)));
        const counts = rules.ruleFor(rulePath(path), 200);
        return counts.cache === 'never' || counts === rules.ruleFor(seen, 200);
      }),
      { numRuns: 2_000 },
    );
    t.pass('held');
  });
}

test('patterns are normalised as paths are', async (t) => {
  t.equal(rulePattern('/Account/*'), '/account/*');
  t.equal(rulePattern('/%61ccount/*'), '/account/*');
});

for (const [path, type, fits] of [
  ['/x.css', 'text/css', true],
  ['/x.css', 'Text/CSS; charset=utf-8', true],
  ['/x.css', 'text/html', false],
  ['/x.css', 'text/css, text/html', false],
  ['/x.css', 'text/cssx', false],
  ['/x.css', undefined, false],
  ['/x.js', 'application/json', false],
  ['/x.png', 'image/webp', true],
  ['/x.png', 'image/png, text/html', false],
  ['/x.png', 'image/png;a=",", text/html', false],
  ['/x.woff', 'font/woff, text/html', false],
  ['/x.woff2', 'application/octet-stream', true],
  ['/x.pdf', 'text/html', false],
  ['/x', 'text/html', true],
  ['/css', 'text/html', true],
  ['/x.constructor', 'text/html', true],
] as const) {
  test(`${type} ${fits ? 'fits' : 'does not fit'} ${path}`, async (t) => t.equal(fitsExtension(path, type), fits));
}

test('no extension accepts a page or data', async (t) => {
  for (const extension of STATIC_EXTENSIONS) {
    t.equal(fitsExtension(`/account/x.${extension}`, 'text/html; charset=utf-8'), false, extension);
    t.equal(fitsExtension(`/account/x.${extension}`, 'application/json'), false, extension);
    t.equal(fitsExtension(`/account/x.${extension}`, 'text/plain'), false, extension);
  }
});
