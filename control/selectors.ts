/**
 * Translates the selectors of a purge call into cache keys: a URL as its GET is keyed, a tag as it is stored.
 * @module
 */
import { domainToASCII } from 'node:url';
import { cacheKey, siteAuthority } from '../cache/key.ts';
import { MAX_TAG_LENGTH } from '../cache/tags.ts';
import type { SiteConfig } from '../config/schema.ts';
import { HttpError } from '../http/errors.ts';
import { isLatin1, trimOws } from '../http/fields/headers.ts';
import { normalisePath, parseRequestTarget, type Target } from '../http/request-target.ts';
import { EVERY_SITE, MAX_SELECTOR_LENGTH } from '../journal/check.ts';
import type { SelectorKind } from '../journal/journal.ts';
import type { SiteDirectory } from './site-directory.ts';

/** One selector of the journal. */
export interface Selector {
  readonly kind: SelectorKind;
  readonly selector: string;
  readonly site: string;
}

/** Selector that cannot match any stored response. */
export class SelectorError extends Error {
  override readonly name = 'SelectorError';
  readonly fix: string;

  constructor(message: string, fix: string) {
    super(message);
    this.fix = fix;
  }
}

/**
 * @param url - With scheme. A fragment does not count, and what a browser would
 *   encode (`ä`) is encoded; everything else is taken as it stands.
 * @returns One selector, or several where regions key the URL differently.
 * @throws {SelectorError}
 */
export function urlSelectors(url: string, sites: SiteDirectory): Selector[] {
  return keysOf(url, sites).map(({ site, selector }) => ({ kind: 'url', selector: bounded(selector), site }));
}

/**
 * @param headers - Request headers that choose one variant.
 * @throws {SelectorError}
 */
export function variantSelectors(
  url: string,
  headers: Readonly<Record<string, string>>,
  sites: SiteDirectory,
): Selector[] {
  const fields = Object.entries(headers)
    .map(([name, value]) => [name.toLowerCase(), asOnTheWire(trimOws(value))] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [index, [name]] of fields.entries()) {
    if (fields[index + 1]?.[0] === name) throw new SelectorError(`the header ${name} is named twice`, 'Name it once.');
  }
  if (fields.length === 0) return urlSelectors(url, sites);
  return keysOf(url, sites).map(({ site, selector }) => ({
    kind: 'variant',
    selector: bounded(JSON.stringify({ url: selector, headers: fields.flat() })),
    site,
  }));
}

/**
 * @param prefix - `https://host/path`, or `host/path`. It ends anywhere: `/a`
 *   takes `/a/b` and `/ab`. Query rules do not apply.
 * @throws {SelectorError}
 */
export function prefixSelectors(prefix: string, sites: SiteDirectory): Selector[] {
  const [, scheme, rest = ''] = /^(?:(https?):)?(?:\/\/)?(.*)$/is.exec(prefix) ?? [];
  if (/^[/?#]/.test(rest) || rest === '') throw new SelectorError('there is no host', 'Write HOST/PATH.');
  if (!rest.includes('/')) {
    throw new SelectorError('there is no path', `Write ${shown(rest)}/, or name the host in \`hosts\`.`);
  }
  const target = parseUrl(`${scheme ?? 'https'}://${rest}`);
  const path = normalisePath(target.path);
  const tail = target.query === undefined ? path : `${path}?${target.query}`;
  // Without a scheme the port does not say whether it is the usual one: both are meant.
  const schemes = scheme === undefined ? SCHEMES : [scheme.toLowerCase() as Scheme];
  const found = knownSites(target.host, sites).flatMap((site) =>
    schemes.map((one) => ({ site: site.name, selector: `//${siteAuthority(site, one, target)}${tail}` })),
  );
  return distinct(found).map(({ site, selector }) => ({ kind: 'prefix', selector: bounded(selector), site }));
}

const MAX_PATTERN_LENGTH = 512;
const MAX_STARS = 16;

/**
 * @param pattern - `https://host/path`, or `host/path`, where `*` stands for any characters behind the host. Query
 *   rules do not apply.
 * @throws {SelectorError}
 */
export function patternSelectors(pattern: string, sites: SiteDirectory): Selector[] {
  const stars = pattern.split('*').length - 1;
  if (stars === 0) throw new SelectorError('there is no *', 'Name a URL in `files`, or a beginning in `prefixes`.');
  if (stars > MAX_STARS || pattern.length > MAX_PATTERN_LENGTH) {
    const message = `a pattern has at most ${MAX_STARS} stars and ${MAX_PATTERN_LENGTH} characters`;
    throw new SelectorError(message, 'Name several, or a prefix.');
  }
  const [beginning = ''] = pattern.split('*', 1);
  if (!/^(?:(?:https?:)?\/\/)?[^/?#]+\//i.test(beginning)) {
    throw new SelectorError('there is no whole host before the first *', 'Write HOST/PATH: www.example.com/*.css.');
  }
  return prefixSelectors(pattern, sites).map((selector) => ({ ...selector, kind: 'pattern' }));
}

/** @throws {SelectorError} */
export function hostSelectors(host: string, sites: SiteDirectory): Selector[] {
  if (host.includes('/')) throw new SelectorError('this is more than a host', 'Write the host alone: www.example.com.');
  if (host.includes('*')) {
    throw new SelectorError('a host has no wildcard here', 'Name each host, or purge everything of the site.');
  }
  const target = parseUrl(`https://${host}/`);
  if (target.port !== undefined) {
    throw new SelectorError('a host has no port here', `Write ${target.host}: every port of it is meant.`);
  }
  const found = knownSites(target.host, sites).map((site) => ({
    site: site.name,
    selector: siteAuthority(site, 'https', target).replace(/:\d+$/, ''),
  }));
  return distinct(found).map(({ site, selector }) => ({ kind: 'host', selector, site }));
}

/**
 * @returns One selector, or two where the tag has letters that an origin may
 *   have written in Latin-1 or in UTF-8: the bytes do not say.
 * @throws {SelectorError}
 */
export function tagSelectors(tag: string, site: string): Selector[] {
  const name = trimOws(tag);
  if (name === '') throw new SelectorError('the tag is empty', 'Leave it out.');
  if (name.includes(',')) throw new SelectorError('a tag has no comma', 'Send each tag as an item of its own.');
  if (!isText(name)) throw new SelectorError('the tag has control characters', 'Write it as the origin sends it.');
  const spellings = [...new Set([asOnTheWire(name), ...(isLatin1(name) ? [name] : [])])];
  if (spellings.some((spelling) => spelling.length > MAX_TAG_LENGTH)) {
    throw new SelectorError(
      `a tag has at most ${MAX_TAG_LENGTH} bytes`,
      'A response with a longer one is not stored: there is nothing to purge.',
    );
  }
  return spellings.map((selector) => ({ kind: 'tag', selector, site }));
}

/** @param site - Absent: all of them. */
export function everythingSelector(site: string | undefined): Selector {
  return site === undefined
    ? { kind: 'everything', selector: '', site: EVERY_SITE }
    : { kind: 'site', selector: '', site };
}

type Scheme = 'http' | 'https';

const SCHEMES = ['http', 'https'] as const;

/** A site, and the URL as it is keyed there, without scheme: a purge means both. */
interface Keyed {
  readonly site: string;
  readonly selector: string;
}

/**
 * @param url - With scheme.
 * @returns The URL as a client sends it, in ASCII and without a fragment, and the names of its sites.
 * @throws {SelectorError}
 */
export function servedUrl(url: string, sites: SiteDirectory): { url: string; sites: readonly string[] } {
  const found = keysOf(url, sites);
  return { url: encoded(url.split('#', 1)[0] as string), sites: [...new Set(found.map(({ site }) => site))] };
}

function keysOf(url: string, sites: SiteDirectory): Keyed[] {
  const scheme = /^(https?):\/\//i.exec(url)?.[1]?.toLowerCase() as Scheme | undefined;
  if (scheme === undefined) {
    throw new SelectorError('this is not a whole URL', 'Write it with its scheme: https://www.example.com/page.');
  }
  const target = parseUrl(url);
  return distinct(
    knownSites(target.host, sites).map((site) => {
      const keyed = cacheKey(site, scheme, target, []);
      return { site: site.name, selector: `//${keyed.authority}${keyed.target}` };
    }),
  );
}

function knownSites(host: string, sites: SiteDirectory): readonly SiteConfig[] {
  const found = sites.sitesOf(host);
  if (found.length === 0) {
    throw new SelectorError(`no site has the host ${shown(host)}`, 'Name a host that is in the `hosts` of a site.');
  }
  return found;
}

function distinct(found: readonly Keyed[]): Keyed[] {
  return [...new Map(found.map((one) => [`${one.site}\n${one.selector}`, one])).values()];
}

/** @throws {SelectorError} unless the URL is one that an edge answers. */
function parseUrl(url: string): Target {
  if (!isText(url)) throw new SelectorError('the URL has control characters', 'Write it as browsers send it.');
  const withoutFragment = url.split('#', 1)[0] as string;
  try {
    return parseRequestTarget('GET', encoded(withoutFragment), ANY_HOST);
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    const [reason, fix] = REFUSALS[/\(([^)]*)\)$/.exec(error.message)?.[1] ?? ''] ?? [
      'this is not a URL that can be served',
      'Write it as browsers send it: https://www.example.com/page.',
    ];
    throw new SelectorError(reason, fix);
  }
}

/** An absolute URL brings its own host; HTTP asks for this one all the same. */
const ANY_HOST = ['Host', 'host.invalid'];

/** Error of parseRequestTarget → message and fix for a URL. */
const REFUSALS: Readonly<Record<string, readonly [string, string]>> = {
  'forbidden character': ['the URL has a character that URLs do not have', 'Percent-encode it: a space is %20.'],
  authority: ['the URL has no valid host', 'Write a host name, and a port if there is one: www.example.com:8080.'],
  'broken percent-encoding': ['the URL has a % without two hexadecimal digits', 'Write %25 for the character itself.'],
  'zero byte': ['the URL has %00, which is never served', 'Leave it out.'],
  'dot segment': ['the path has . or .. between slashes, which is never served', 'Write the path that it leads to.'],
};

/** Encodes characters beyond ASCII as browsers do: percent-encoded UTF-8, the host in Punycode. */
function encoded(url: string): string {
  if (isAscii(url)) return url;
  const [, scheme = '', authority = '', rest = ''] = /^([^/]*\/\/)([^/?]*)(.*)$/s.exec(url) ?? [];
  const [, host = '', port = ''] = /^(.*?)(:\d*)?$/s.exec(authority) ?? [];
  const path = rest.replaceAll(BEYOND_ASCII, (characters) => encodeURIComponent(characters));
  return `${scheme}${isAscii(host) ? host : domainToASCII(host)}${port}${path}`;
}

function bounded(selector: string): string {
  if (selector.length > MAX_SELECTOR_LENGTH) {
    throw new SelectorError(`it is longer than ${MAX_SELECTOR_LENGTH} characters`, 'Purge a prefix of it.');
  }
  return selector;
}

/** Header values are kept as bytes in a string (http/fields/headers.ts); what people write is UTF-8 there. */
function asOnTheWire(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

const BEYOND_ASCII = /[^\0-\x7f]+/g;

function isAscii(text: string): boolean {
  return text.search(BEYOND_ASCII) === -1;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\0-\x1f\x7f]/;

function isText(text: string): boolean {
  return text.isWellFormed() && !CONTROL.test(text);
}

const MAX_SHOWN = 100;

function shown(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
