/**
 * Visitors of a documented site, and what an attacker sends: other spellings
 * of paths, fields that an origin might believe, requests that make an origin
 * fail.
 * @module
 */
import { type SiteConfig, siteSchema } from '../../config/schema.ts';
import type { Field } from './oracle.ts';

export interface Person {
  readonly name: string;
  readonly fields: readonly Field[];
  readonly address: string;
  readonly country: string | undefined;
}

/** Addresses whose country the database that comes with the program knows. */
const ABROAD: readonly (readonly [address: string, country: string])[] = [
  ['81.2.69.142', 'GB'],
  ['8.8.8.8', 'US'],
];

/** @returns Two with sessions, two with credentials of other kinds, three without any; the last one is the attacker. */
export function peopleOf(site: SiteConfig): readonly Person[] {
  const sessions = ['session', ...cookieNames(site)];
  const own = (name: string): string => sessions.map((cookie) => `${cookie}=${name}`).join('; ');
  const keyed = site.key.cookies.map(nameLike);
  const shared = (value: string): string => keyed.map((cookie) => `${cookie}=${value}`).join('; ');
  const people: readonly (readonly [string, readonly Field[]])[] = [
    [
      'alice',
      [
        ['Cookie', joined(own('alice'), shared('one'), '_ga=GA1.2.alice')],
        ['Accept-Encoding', 'gzip'],
      ],
    ],
    ['bob', []],
    [
      'carl',
      [
        ['Cookie', joined(own('carl'), shared('one'))],
        ['Accept-Encoding', 'gzip, br'],
      ],
    ],
    ['tom', [['Authorization', 'Bearer tom']]],
    ['uma', [['X-User', 'uma'], ...(keyed.length > 0 ? [['Cookie', shared('two')] as const] : [])]],
    [
      'bea',
      [
        ['Cookie', joined('_ga=GA1.2.bea; _gid=bea', shared('one'))],
        ['Accept-Encoding', 'identity'],
      ],
    ],
    ['mallory', []],
  ];
  return people.map(([name, fields], index) => ({ name, fields, ...placeOf(site, index) }));
}

function joined(...lists: readonly string[]): string {
  return lists.filter((list) => list !== '').join('; ');
}

/** Cookies that rules name. */
function cookieNames(site: SiteConfig): string[] {
  const rules = site.rules as readonly { readonly cookies?: unknown }[];
  const patterns = rules.flatMap(({ cookies }) =>
    typeof cookies === 'object' && cookies !== null && 'bypass' in cookies ? (cookies.bypass as string[]) : [],
  );
  return [...new Set(patterns.map(nameLike))];
}

function nameLike(pattern: string): string {
  return pattern.replace('*', 'x1');
}

function placeOf(site: SiteConfig, index: number): Pick<Person, 'address' | 'country'> {
  const { allow } = site.geo;
  const network = allow?.networks[0];
  const areLetIn = allow === undefined || allow.countries.length + allow.continents.length > 0;
  if (usesPlaces(site) && areLetIn && (network === undefined || index % 2 === 1)) {
    const [address, country] = ABROAD[(index >> 1) % ABROAD.length] as (typeof ABROAD)[number];
    return { address, country };
  }
  if (network !== undefined) {
    return { address: network.replace(/\d+(?:\/\d+)?$/, String(10 + index)), country: undefined };
  }
  return { address: `127.0.0.${20 + index}`, country: undefined };
}

/** Returns whether the site uses the location of its visitors. */
export function usesPlaces({ geo, key }: SiteConfig): boolean {
  const isAsked = geo.allow !== undefined || geo.deny !== undefined || key.geo !== undefined;
  return isAsked || Object.keys(geo.headers).length + Object.keys(geo.redirect).length > 0;
}

/** @returns A path for each pattern of the site's rules, and two that belong to none; all of one game are alike. */
export function pathsOf(site: SiteConfig, game: string): readonly string[] {
  const patterns = site.rules.flatMap(({ path }) => (path === undefined ? [] : [path].flat()));
  const paths = patterns.map((pattern) => pattern.replace('*', game).replaceAll('*', 'x'));
  return [...new Set([...paths, `/${game}`, `/${game}/profile`])].filter((path) => path.includes(game));
}

export interface Spelling {
  readonly name: string;
  /** @param extension - Of static files, with the dot, as a rule of the site has it. */
  of(path: string, extension: string): string;
}

const afterFirst = (path: string, between: string): string => path.replace(/^(\/[^/]*)\//, `$1${between}`);

/** Ways to write a path that some origins take for the plain one. */
export const SPELLINGS: readonly Spelling[] = [
  { name: 'plain', of: (path) => path },
  { name: '//path', of: (path) => `/${path}` },
  { name: '///path', of: (path) => `//${path}` },
  { name: '//path and extension', of: (path, extension) => `/${path}/x${extension}` },
  { name: 'a//b', of: (path) => afterFirst(path, '//') },
  { name: 'a%2fb', of: (path) => afterFirst(path, '%2f') },
  { name: 'a%2Fb and extension', of: (path, extension) => `${afterFirst(path, '%2F')}/x${extension}` },
  { name: 'a%5cb', of: (path) => afterFirst(path, '%5c') },
  { name: 'a%5Cb and extension', of: (path, extension) => `${afterFirst(path, '%5C')}/x${extension}` },
  { name: 'path/x.css', of: (path, extension) => `${path}/x${extension}` },
  { name: 'path.css', of: (path, extension) => `${path}${extension}` },
  { name: 'path;x.css', of: (path, extension) => `${path};x${extension}` },
  { name: 'path%3bx.css', of: (path, extension) => `${path}%3bx${extension}` },
  { name: 'a;x/b', of: (path) => afterFirst(path, ';v=1/') },
  { name: 'a;x/b and extension', of: (path, extension) => `${afterFirst(path, ';v=1/')}/x${extension}` },
  { name: 'path%3fx.css', of: (path, extension) => `${path}%3fx${extension}` },
  { name: 'path%23x.css', of: (path, extension) => `${path}%23x${extension}` },
  { name: 'path%0ax.css', of: (path, extension) => `${path}%0ax${extension}` },
  { name: 'path%0d%0ax.css', of: (path, extension) => `${path}%0d%0ax${extension}` },
  { name: 'path%09x.css', of: (path, extension) => `${path}%09x${extension}` },
  { name: 'path%00x.css', of: (path, extension) => `${path}%00x${extension}` },
  { name: 'path%7fx.css', of: (path, extension) => `${path}%7fx${extension}` },
  { name: 'path%20', of: (path) => `${path}%20` },
  { name: 'path.', of: (path) => `${path}.` },
  { name: 'path/', of: (path) => `${path}/` },
  { name: 'path?x.css', of: (path, extension) => `${path}?x${extension}` },
  { name: 'path#x.css', of: (path, extension) => `${path}#x${extension}` },
  { name: 'Path', of: (path) => path.replace(/[a-z]/, (letter) => letter.toUpperCase()) },
  { name: 'PATH and extension', of: (path, extension) => `${path.toUpperCase()}/X${extension.toUpperCase()}` },
  { name: 'escaped letter', of: (path) => path.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`) },
  {
    name: 'escaped capital',
    of: (path) => path.replace(/[a-z]/, (letter) => `%${letter.toUpperCase().charCodeAt(0).toString(16)}`),
  },
  { name: 'a/./b', of: (path) => afterFirst(path, '/./') },
  { name: 'a/x/../b', of: (path) => afterFirst(path, '/x/../') },
  { name: 'a/%2e/b', of: (path) => afterFirst(path, '/%2e/') },
  { name: 'a/x/%2e%2e/b and extension', of: (path, extension) => `${afterFirst(path, '/x/%2e%2e/')}/x${extension}` },
  { name: 'x.css/..%2fpath', of: (path, extension) => `/x${extension}/..%2f${path.slice(1)}` },
  { name: 'a\\b', of: (path) => afterFirst(path, '\\') },
  { name: '%2fpath', of: (path) => `/%2f${path.slice(1)}` },
  { name: ';/path', of: (path) => `/;${path}` },
  { name: ';x/path and extension', of: (path, extension) => `/;x${path}/x${extension}` },
];

export interface Gadget {
  readonly name: string;
  readonly fields?: readonly Field[];
  readonly method?: string;
  host?(host: string): string;
  target?(path: string, host: string): string;
}

/** Marks values that must never be seen by an origin. */
export const POISON = 'poison';

/** Names under which an origin may be told who asks, for what, and how (docs/request-life.md, step 2). */
const BELIEVED: readonly string[] = [
  'Forwarded X-Forwarded X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Port X-Forwarded-Prefix',
  'X-Forwarded-Server X-Forwarded-Scheme X-Forwarded-Uri Forwarded-For X-Real-IP Client-IP X-Client-IP True-Client-IP',
  'Proxy-Client-IP WL-Proxy-Client-IP CF-Connecting-IP X-Host X-HTTP-Host X-HTTP-Host-Override X-Backend-Host',
  'X-Original-Host X-Original-URL X-Original-URI X-Original-Method X-Rewrite-URL X-HTTP-Method-Override X-HTTP-Method',
  'X-Method-Override X-Accel-Redirect X-Accel-Buffering X-Sendfile-Type X-Middleware-Subrequest X-Middleware-Rewrite',
  'Remote-User Client-Cert Proxy Seawall-Secret Surrogate-Capability',
].flatMap((line) => line.split(' '));

const underscored = (name: string): string => name.replaceAll('-', '_');

/** Returns the attacker's additions to a request. */
export function gadgetsOf(site: SiteConfig): readonly Gadget[] {
  const geoFields = Object.entries(site.geo.headers).flatMap(([, name]) => (typeof name === 'string' ? [name] : []));
  const set = Object.keys(site.request_headers.set ?? {});
  const allowed = (site.request_headers as { allow?: readonly string[] }).allow ?? [];
  const open = new Set(allowed.map((name) => name.toLowerCase()));
  const believed = [...BELIEVED, ...geoFields, ...set].filter((name) => !open.has(name.toLowerCase()));
  const keyed = site.key.cookies.map(nameLike).flatMap((name): Gadget[] => [
    { name: `two ${name}`, fields: [['Cookie', `${name}=one; ${name}=two`]] },
    { name: `two ${name}, the other way round`, fields: [['Cookie', `${name}=two; ${name}=one`]] },
    {
      name: `${name} in two lines`,
      fields: [
        ['Cookie', `${name}=one`],
        ['Cookie', `${name}=two`],
      ],
    },
    { name: `${name} in quotes`, fields: [['Cookie', `x="; ${name}=one"; ${name}=two`]] },
    { name: `${name} in capitals`, fields: [['Cookie', `${name}=one; ${name.toUpperCase()}=two`]] },
  ]);
  const places = Object.keys(site.geo.headers).length > 0 || site.key.geo !== undefined ? ['CDN-Visitor-Country'] : [];
  return [
    ...[...believed, ...places].flatMap((name): Gadget[] => [
      { name, fields: [[name, `${POISON}.example`]] },
      { name: underscored(name), fields: [[underscored(name), `${POISON}.example`]] },
    ]),
    ...keyed,
    { name: 'Content_Length', fields: [['Content_Length', `1${POISON}`]] },
    { name: 'Transfer_Encoding', fields: [['Transfer_Encoding', `chunked-${POISON}`]] },
    { name: 'X-Forwarded-Host by Connection', fields: [['Connection', 'X-Forwarded-Host, X-Real-IP, close']] },
    { name: '9,000 bytes', fields: [['X-Junk', 'a'.repeat(9_000)]] },
    { name: '9,000 bytes of cookie', fields: [['Cookie', `_ga=${'a'.repeat(9_000)}`]] },
    { name: 'a field that the page shows', fields: [['X-Shown', '<script>']] },
    { name: 'analytics cookie that the page shows', fields: [['Cookie', '_ga=<script>']] },
    { name: 'session of its own', fields: [['Cookie', 'session=mallory']] },
    { name: 'cookie name with a space', fields: [['Cookie', 'session =mallory; currency =USD']] },
    { name: 'empty cookie', fields: [['Cookie', '']] },
    { name: 'credentials of its own', fields: [['Authorization', 'Basic bWFsbG9yeTo=']] },
    { name: 'Range', fields: [['Range', 'bytes=0-31']] },
    { name: 'ranges', fields: [['Range', 'bytes=0-31, 64-95']] },
    { name: 'Range past the end', fields: [['Range', 'bytes=100000-']] },
    { name: 'If-None-Match', fields: [['If-None-Match', '"n-0"']] },
    { name: 'If-Modified-Since', fields: [['If-Modified-Since', 'Thu, 01 Jan 2099 00:00:00 GMT']] },
    { name: 'If-Match', fields: [['If-Match', '*']] },
    {
      name: 'no-cache',
      fields: [
        ['Cache-Control', 'no-cache'],
        ['Pragma', 'no-cache'],
      ],
    },
    { name: 'no-store', fields: [['Cache-Control', 'no-store']] },
    { name: 'max-stale', fields: [['Cache-Control', 'max-stale=100000']] },
    { name: 'Accept-Encoding: br', fields: [['Accept-Encoding', 'br']] },
    { name: 'Accept-Encoding: gzip', fields: [['Accept-Encoding', 'gzip']] },
    { name: 'HEAD', method: 'HEAD' },
    { name: 'POST', method: 'POST' },
    { name: 'OPTIONS', method: 'OPTIONS' },
    { name: 'Host in capitals', host: (host) => host.toUpperCase() },
    { name: 'Host with a dot', host: (host) => `${host}.` },
    { name: 'Host with the usual port', host: (host) => `${host}:80` },
    { name: 'Host with another port', host: (host) => `${host}:1337` },
    { name: 'another Host', host: () => `${POISON}.example` },
    { name: 'absolute target', target: (path, host) => `http://${host}${path}` },
    { name: 'absolute target of another host', target: (path) => `http://${POISON}.example${path}` },
    { name: 'query', target: (path) => `${path}?cb=1` },
    { name: 'query of a campaign', target: (path) => `${path}?utm_source=<script>&fbclid=1` },
    { name: 'empty query', target: (path) => `${path}?` },
    { name: 'query with ; and escapes', target: (path) => `${path}?a=1;b=2&%75tm_source=x` },
  ];
}

/** A site whose every key has its default, for what the documentation runs without a site file. */
export const PLAIN_SITE: SiteConfig = siteSchema.parse({
  name: 'site',
  hosts: ['*'],
  origin: { servers: [{ url: 'http://origin.example.net' }] },
});
