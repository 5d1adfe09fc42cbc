/**
 * Decides which visitor may get which answer, by the words of the documentation and of the RFCs. Written apart from the
 * program on purpose: it shares no code with it.
 *
 * An answer that was made for one request may reach another one only if its
 * origin says that it may be shared, or a rule of the site's config does.
 * @module
 */
import type { RuleConfig, SiteConfig } from '../../config/schema.ts';
import type { Made } from './origin.ts';

export type Field = readonly [name: string, value: string];

/** A request as a visitor sends it. */
export interface Asked {
  readonly ask: number;
  readonly visitor: string;
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** Value of Host. */
  readonly host: string;
  /** As it stands in the request line. */
  readonly target: string;
  /** Without Host and without the number of the request. */
  readonly fields: readonly Field[];
  readonly address: string;
  /** Country of the address in the geo database. */
  readonly country: string | undefined;
}

/** An answer that a request is given. */
export interface Given {
  readonly made: Made;
  /** The request because of which the origin was asked. */
  readonly madeFor: Asked;
  /** True if the origin answered 304 to the request of this visitor. */
  readonly isConfirmed: boolean;
  /** True if the request was sent before the answer first reached a visitor. */
  readonly hasWaited: boolean;
}

type CookieMode = 'bypass' | 'ignore' | 'key' | { readonly bypass: readonly string[] };

/** Keys of a rule that say what cookies mean. */
interface CookieRule {
  readonly cookies?: CookieMode | undefined;
  readonly type_guard?: boolean | undefined;
}

/**
 * Cookies that only scripts of analytics and consent read: those of the documented list that the visitors here have.
 */
const IGNORED_BY_DEFAULT = ['_ga', '_ga_*', '_gid', '_fbp'];

/** Extensions of static files: those of the documented list that the examples name or an attacker here uses. */
const STATIC = new Set(
  'css js mjs map png jpg jpeg gif webp avif svg ico woff woff2 ttf otf eot mp4 webm mp3 pdf'.split(' '),
);

/** RFC 9110, section 15.1. */
const HEURISTIC = new Set([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501]);

export class Oracle {
  readonly #site: SiteConfig;

  constructor(site: SiteConfig) {
    this.#site = site;
  }

  /** @returns Why the answer must not reach this request; undefined where it may. */
  objection(sent: Asked, given: Given): string | undefined {
    const { made, isConfirmed, hasWaited } = given;
    const [asked, madeFor] = [this.#counted(sent), this.#counted(given.madeFor)];
    if (asked.ask === madeFor.ask) return undefined;
    const apart = this.#differenceInKey(asked, madeFor) ?? differenceByVary(asked, madeFor, made, this.#ignored());
    if (apart !== undefined) return `made for another ${apart}`;
    const isPart = made.status === 206 && fieldOf(madeFor, 'range') !== undefined;
    if (isPart && fieldOf(asked, 'range') === undefined) return 'a part in place of the whole';
    const encoding = made.fields.get('content-encoding');
    if (!acceptsEncoding(asked, encoding) && !acceptSameEncodings(asked, madeFor))
      return 'an encoding that it does not take';
    const rule = this.#ruleFor(pathOf(asked), made);
    if (rule.cache === 'never') return 'a rule says never';
    const declared = directivesOf(made, this.#site.targeted_fields, rule);
    if (declared.has('private') || declared.has('no-store')) return 'the origin says private or no-store';
    if (made.fields.has('set-cookie') && !mayShareSetCookie(declared, rule)) return 'it sets a cookie';
    if (declared.has('no-cache') && !isConfirmed) return 'the origin says no-cache';
    const withCredentials = fieldOf(madeFor, 'authorization') !== undefined && !this.#holds('authorization');
    if (isDeclared(made, declared, rule) && (!withCredentials || permitsCredentials(declared))) return undefined;

    // From here on it is only the site's rule, or a guess, that lets it be shared.
    if (this.#isPersonal(madeFor, rule)) return 'made for a personal request';
    if (this.#isPersonal(asked, rule)) return 'asked for by a personal request';
    const unkeyed = rule.cookies === 'key' ? undefined : this.#unkeyedCookie(made);
    if (unkeyed !== undefined) return `made by an origin that saw the cookie ${unkeyed}`;
    if (rule.cookies === 'key' && this.#cookieSet(asked) !== this.#cookieSet(madeFor)) return 'made for other cookies';
    if (rule.ttl !== undefined && rule.ttl > 0 && coversStatus(rule, made.status)) return undefined;
    const isError = made.status >= 400;
    if (made.fields.has('last-modified') && HEURISTIC.has(made.status)) return undefined;
    if (isConfirmed && !isError) return undefined;
    // The herd that waits for an origin which fails gets its failure (docs/request-life.md).
    if (made.status >= 500 && made.status !== 501 && hasWaited) return undefined;
    return isError ? 'an error that nothing lets be shared' : 'nothing lets it be shared';
  }

  /** The request without the cookies that do not count at its path: none that is not personal there has them. */
  #counted(asked: Asked): Asked {
    const rule = this.#ruleFor(pathOf(asked), ANY_FILE);
    const isSimple = asked.method === 'GET' || asked.method === 'HEAD';
    if (!isSimple || this.isForbidden(asked) || this.#holds('cookie') || this.#isPersonal(asked, rule)) return asked;
    const counts = ([name]: Field): boolean =>
      this.#isKeyed(name) || (rule.cookies === 'key' && !this.#ignored().some((pattern) => matchesName(pattern, name)));
    const cookies = cookiesOf(asked).filter(counts);
    const others = asked.fields.filter(([name]) => name.toLowerCase() !== 'cookie');
    const line = cookies.map((pair) => pair.join('=')).join('; ');
    return { ...asked, fields: line === '' ? others : [...others, ['Cookie', line]] };
  }

  /** A cookie that the origin has seen, and that is not in the key. */
  #unkeyedCookie({ request: { rawHeaders } }: Made): string | undefined {
    if (this.#holds('cookie')) return undefined;
    const lines = rawHeaders.flatMap((name, i): Field[] =>
      i % 2 === 0 && name.toLowerCase() === 'cookie' ? [['cookie', rawHeaders[i + 1] as string]] : [],
    );
    return cookiesOf({ fields: lines }).find(([name]) => !this.#isKeyed(name))?.[0];
  }

  #isKeyed(name: string): boolean {
    return this.#site.key.cookies.some((pattern) => isRead(pattern, name));
  }

  /** @returns Whether a rule says that nothing at the request's path is ever stored. */
  isForbidden(asked: Asked): boolean {
    return this.#ruleFor(pathOf(asked), undefined).cache === 'never';
  }

  #differenceInKey(asked: Asked, madeFor: Asked): string | undefined {
    const { key } = this.#site;
    if (asked.scheme !== madeFor.scheme) return 'scheme';
    if (key.host === undefined && authorityOf(asked) !== authorityOf(madeFor)) return 'host';
    if (plainPath(asked) !== plainPath(madeFor)) return 'path';
    if (this.keyedQuery(asked) !== this.keyedQuery(madeFor)) return 'query';
    if (asked.method !== madeFor.method && asked.method !== 'HEAD' && madeFor.method !== 'HEAD') return 'method';
    for (const name of key.headers) {
      if (fieldOf(asked, name) !== fieldOf(madeFor, name)) return `${name} (in the key)`;
    }
    for (const pattern of key.cookies) {
      const of = (one: Asked): string =>
        cookiesOf(one)
          .filter(([name]) => isRead(pattern, name))
          .map((pair) => pair.join('='))
          .sort()
          .join(';');
      if (of(asked) !== of(madeFor)) return `cookie ${pattern} (in the key)`;
    }
    if (key.geo === 'country' && asked.country !== madeFor.country) return 'country';
    return undefined;
  }

  /** The query as the key has it. */
  keyedQuery(asked: Asked): string | undefined {
    const { query: wanted, sort_query: isSorted } = this.#site.key;
    const mark = asked.target.indexOf('?');
    if (mark === -1 || wanted === 'none') return undefined;
    const all = asked.target.slice(mark + 1).split('&');
    const named = (patterns: readonly string[], parameter: string): boolean =>
      patterns.some((pattern) => matchesName(pattern, decodeOnce(parameter.split('=')[0] as string)));
    const kept =
      wanted === 'all'
        ? all
        : all.filter((one) => ('allow' in wanted ? named(wanted.allow, one) : !named(wanted.deny, one)));
    if (isSorted) kept.sort();
    return kept.length === 0 || (wanted !== 'all' && kept.join('') === '') ? undefined : kept.join('&');
  }

  /** @param made - undefined: whatever the status and the content. */
  #ruleFor(path: string, made: Made | typeof ANY_FILE | undefined): RuleConfig & CookieRule {
    for (const rule of this.#site.rules as readonly (RuleConfig & CookieRule)[]) {
      if (rule.path !== undefined && ![rule.path].flat().some((pattern) => matchesPath(pattern, path))) continue;
      const statuses = rule.status === undefined ? undefined : [rule.status].flat();
      if (statuses !== undefined && (made === undefined || !statuses.some((one) => matchesStatus(one, made.status)))) {
        continue;
      }
      // The type of a redirect or an error says nothing of the file: cookies count there.
      if (made !== undefined && made.status >= 300) return rule;
      const isStatic = isByExtension(rule);
      const isGuarded = rule.type_guard ?? isStatic;
      if (isGuarded && made !== undefined && 'fields' in made && !fits(path, made)) return DEFAULT_RULE;
      return isStatic && rule.cookies === undefined && rule.cache !== 'never' ? { ...rule, cookies: 'ignore' } : rule;
    }
    return DEFAULT_RULE;
  }

  #isPersonal(asked: Asked, { cookies: mode = 'bypass' }: CookieRule): boolean {
    if (fieldOf(asked, 'authorization') !== undefined && !this.#holds('authorization')) return true;
    if (mode === 'ignore' || mode === 'key' || this.#holds('cookie')) return false;
    const names = cookiesOf(asked).map(([name]) => name);
    if (typeof mode === 'object')
      return names.some((name) => mode.bypass.some((pattern) => matchesName(pattern, name)));
    const isFree = (name: string): boolean =>
      this.#ignored().some((pattern) => matchesName(pattern, name)) || this.#isKeyed(name);
    return !names.every(isFree);
  }

  #cookieSet(asked: Asked): string {
    return cookiesOf(asked)
      .filter(([name]) => !this.#ignored().some((pattern) => matchesName(pattern, name)))
      .map((pair) => pair.join('='))
      .sort()
      .join(';');
  }

  #holds(header: string): boolean {
    return this.#site.key.headers.some((name) => name.toLowerCase() === header);
  }

  #ignored(): readonly string[] {
    return (this.#site as { ignored_cookies?: readonly string[] }).ignored_cookies ?? IGNORED_BY_DEFAULT;
  }
}

/** A 200 of a type that fits. */
const ANY_FILE = { status: 200 } as const;

const DEFAULT_RULE = {
  cache: 'allow',
  origin_headers: 'honour',
  set_cookie: 'refuse',
  request_directives: 'ignore',
} as RuleConfig & CookieRule;

/** Returns whether all patterns of a rule end in the extension of static files. */
function isByExtension({ path }: RuleConfig): boolean {
  return path !== undefined && [path].flat().every((pattern) => STATIC.has(extensionOf(pattern.toLowerCase())));
}

function extensionOf(path: string): string {
  return /\.([a-z0-9]+)$/.exec(path)?.[1] ?? '';
}

/** The one other type that answers here have is HTML. */
function fits(path: string, made: Made): boolean {
  return STATIC.has(extensionOf(path)) && made.fields.get('content-type')?.startsWith('text/html') === false;
}

function matchesStatus(pattern: number | string, status: number): boolean {
  return typeof pattern === 'number' ? pattern === status : Number(pattern[0]) === Math.floor(status / 100);
}

function coversStatus(rule: RuleConfig, status: number): boolean {
  if (rule.status !== undefined) return true;
  return (status >= 200 && status < 300) || status === 301 || status === 308;
}

function matchesPath(pattern: string, path: string): boolean {
  const literal = pattern
    .toLowerCase()
    .split('*')
    .map((text) => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&'));
  return new RegExp(`^${literal.join('.*')}$`, 's').test(path);
}

/** The documented normal form of a path, which rules see. */
export function pathOf({ target }: Asked): string {
  const raw = withoutAuthority(target).split('?')[0] as string;
  const cut = decodeOnce(raw).split(/[?#\p{Cc}]/u)[0] as string;
  const segments = cut
    .replaceAll('\\', '/')
    .split('/')
    .map((segment) => segment.split(';')[0]);
  return segments.join('/').replace(/\/+/g, '/').toLowerCase();
}

/** The path as the key has it: escapes of characters that never need one are none (RFC 3986, section 6.2.2). */
function plainPath({ target }: Asked): string {
  const raw = withoutAuthority(target).split('?')[0] as string;
  return raw.replace(/%([0-9a-f]{2})/gi, (written, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    return /[A-Za-z0-9._~-]/.test(char) ? char : written.toUpperCase();
  });
}

function withoutAuthority(target: string): string {
  return target.replace(/^https?:\/\/[^/?]*/i, '');
}

function decodeOnce(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function authorityOf({ target, host, scheme }: Asked): string {
  const named = /^https?:\/\/([^/?]*)/i.exec(target)?.[1] ?? host;
  const usual = scheme === 'https' ? /:443$/ : /:80$/;
  return named
    .toLowerCase()
    .replace(usual, '')
    .replace(/:$/, '')
    .replace(/\.(?=:|$)/, '');
}

function fieldOf({ fields }: Asked, name: string): string | undefined {
  const lines = fields.filter(([one]) => one.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  return lines.length === 0 ? undefined : lines.join(', ');
}

function cookiesOf({ fields }: Pick<Asked, 'fields'>): Field[] {
  return fields
    .filter(([name]) => name.toLowerCase() === 'cookie')
    .flatMap(([, line]) => line.split(';'))
    .map((pair): Field => {
      const [name = '', ...value] = pair.split('=');
      return [name.trim(), value.join('=').trim()];
    })
    .filter(([name]) => name !== '');
}

function matchesName(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/**
 * Returns whether some server reads the cookie as one that the key names: such a cookie is in the key
 * (docs/shared-answers.md).
 */
function isRead(pattern: string, name: string): boolean {
  return matchesName(pattern.toLowerCase(), name.toLowerCase());
}

function differenceByVary(asked: Asked, madeFor: Asked, made: Made, ignored: readonly string[]): string | undefined {
  const names = (made.fields.get('vary') ?? '').split(',').map((name) => name.trim().toLowerCase());
  for (const name of names.filter((one) => one !== '')) {
    if (name === '*') return 'request (Vary: *)';
    const of = (one: Asked): string | undefined =>
      name === 'cookie'
        ? cookiesOf(one)
            .filter(([cookie]) => !ignored.some((pattern) => matchesName(pattern, cookie)))
            .map((pair) => pair.join('='))
            .join(';')
        : fieldOf(one, name);
    if (of(asked) !== of(madeFor)) return `${name} (Vary)`;
  }
  return undefined;
}

function acceptsEncoding(asked: Asked, encoding: string | undefined): boolean {
  if (encoding === undefined) return true;
  const accepted = (fieldOf(asked, 'accept-encoding') ?? '').split(',').map((one) => one.trim());
  return accepted.includes(encoding) || accepted.includes('*');
}

/**
 * Returns whether the two requests accept the same encodings: a response to a request without Accept-Encoding may
 * answer a like one.
 */
function acceptSameEncodings(asked: Asked, madeFor: Asked): boolean {
  return fieldOf(asked, 'accept-encoding') === fieldOf(madeFor, 'accept-encoding');
}

type Directives = ReadonlyMap<string, string> & { readonly isTargeted?: boolean };

/** Returns the effective directives, from Cache-Control or a targeted field (RFC 9213). */
function directivesOf(made: Made, targetedFields: readonly string[], rule: RuleConfig): Directives {
  if (rule.origin_headers === 'ignore') return new Map();
  const targeted = targetedFields
    .map((name) => made.fields.get(name.toLowerCase()))
    .find((value) => value !== undefined);
  const members = (targeted ?? made.fields.get('cache-control') ?? '').split(',').map((member) => member.trim());
  const directives = new Map(
    members
      .filter((member) => member !== '')
      .map((member) => {
        const [name = '', value = ''] = member.toLowerCase().split('=');
        return [name, value] as const;
      }),
  );
  return Object.assign(directives, { isTargeted: targeted !== undefined });
}

/** Returns whether the origin itself declares the response shareable (RFC 9111, section 3). */
function isDeclared(made: Made, declared: Directives, rule: RuleConfig): boolean {
  if (rule.origin_headers === 'ignore') return false;
  if (declared.has('public') || declared.has('s-maxage') || declared.has('max-age')) return true;
  return declared.isTargeted !== true && made.fields.has('expires');
}

/** RFC 9111, section 3.5. */
function permitsCredentials(declared: Directives): boolean {
  return declared.has('public') || declared.has('s-maxage') || declared.has('must-revalidate');
}

function mayShareSetCookie(declared: Directives, rule: RuleConfig): boolean {
  return (
    rule.set_cookie === 'store' || declared.has('public') || declared.has('s-maxage') || declared.isTargeted === true
  );
}
