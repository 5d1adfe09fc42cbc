/**
 * Selects the field that controls caching: a valid targeted one such as CDN-Cache-Control (RFC 9213), else
 * Cache-Control, else Expires and Pragma.
 * @module
 */
import { type Item, parseDictionary } from 'structured-headers';
import { fieldValue, hasField, type RawHeaders } from '../../http/fields/headers.ts';
import { type DirectiveMap, parseDirectives, type ResponseDirectives, responseDirectives } from './directives.ts';

export interface CacheControl {
  readonly directives: ResponseDirectives;
  /** False where a targeted field decides: Cache-Control and Expires do not count then (RFC 9213, section 2.2). */
  readonly expiresCounts: boolean;
  /** True if a targeted field decides: the origin addresses this cache, not caches at large. */
  readonly addressed: boolean;
}

/** @param targets - Names of targeted fields, most important first. */
export function cacheControl(headers: RawHeaders, targets: readonly string[]): CacheControl {
  for (const target of targets) {
    const value = fieldValue(headers, target);
    if (value === undefined) continue;
    const directives = isSurrogateControl(target) ? surrogateDirectives(value) : targetedDirectives(value);
    // An empty or invalid field is as good as absent (RFC 9213, section 2.2).
    if (directives === undefined || directives.size === 0) continue;
    return { directives: responseDirectives(directives), expiresCounts: false, addressed: true };
  }
  // Pragma in a response means nothing (RFC 9111, section 5.4); it is not looked at.
  return { directives: directivesOf(fieldValue(headers, 'cache-control')), expiresCounts: true, addressed: false };
}

/** Origins say the same of most of their responses: those share what it means. */
const KNOWN = new Map<string, ResponseDirectives>();
const MAX_KNOWN = 1_024;
const MAX_KNOWN_LENGTH = 256;

function directivesOf(value: string | undefined): ResponseDirectives {
  const known = KNOWN.get(value ?? '');
  if (known !== undefined) return known;
  const directives = responseDirectives(parseDirectives(value));
  if (value !== undefined && value.length > MAX_KNOWN_LENGTH) return directives;
  if (KNOWN.size >= MAX_KNOWN) KNOWN.clear();
  KNOWN.set(value ?? '', directives);
  return directives;
}

/** Returns whether the origin gives the response an explicit lifetime. */
export function hasExplicitFreshness(headers: RawHeaders, targets: readonly string[]): boolean {
  const { directives, expiresCounts } = cacheControl(headers, targets);
  return (directives.sMaxage ?? directives.maxAge) !== undefined || (expiresCounts && hasField(headers, 'expires'));
}

const SECONDS_DIRECTIVES = new Set(['max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error']);

/** A Dictionary of RFC 9651; one that does not parse, or holds a value of the wrong type, is ignored whole. */
function targetedDirectives(value: string): DirectiveMap | undefined {
  const directives = new Map<string, string | true>();
  try {
    for (const [name, member] of parseDictionary(value)) {
      const bare = (member as Item)[0];
      if (SECONDS_DIRECTIVES.has(name)) {
        if (typeof bare !== 'number' || !Number.isInteger(bare)) return undefined;
        directives.set(name, String(bare));
      } else if (bare === true || typeof bare === 'string') {
        directives.set(name, bare);
      } else if (bare !== false) {
        directives.set(name, true);
      }
    }
  } catch {
    return undefined; // the parser throws on every syntax error; the field is then ignored (RFC 9213, section 2.1)
  }
  return directives;
}

function isSurrogateControl(name: string): boolean {
  return name.toLowerCase() === 'surrogate-control';
}

/**
 * Surrogate-Control is older than Structured Fields (Edge Architecture
 * Specification, W3C note of 2001): `max-age=30+60` names a lifetime and a
 * window in which it may be served stale, and directives may name a target
 * (`;name`), which is dropped here.
 */
function surrogateDirectives(value: string): DirectiveMap {
  const directives = new Map<string, string | true>();
  for (const [name, argument] of parseDirectives(value)) {
    const bare = typeof argument === 'string' ? (argument.split(';')[0] as string) : argument;
    const window = name === 'max-age' && typeof bare === 'string' ? /^(\d+)\+(\d+)$/.exec(bare) : null;
    if (name === 'content') continue; // about ESI, not about caching: alone it leaves Cache-Control in force
    if (window) {
      directives.set('max-age', window[1] as string);
      directives.set('stale-while-revalidate', window[2] as string);
      directives.set('stale-if-error', window[2] as string);
    } else {
      directives.set((name.split(';')[0] as string).trim(), bare);
    }
  }
  return directives;
}
