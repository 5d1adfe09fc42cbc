/**
 * Effects of a visitor's location at a site: admission, fields for the origin, and browser caching of answers that
 * depend on it.
 * @module
 */
import type { SiteConfig } from '../config/schema.ts';
import { type GeoFact, geoFields } from '../config/visitor-facts.ts';
import type { GeoLocation } from '../geo/location.ts';
import { withoutFieldsLike } from '../http/fields/forwarding.ts';
import { asCgiReadsIt } from '../http/fields/forwarding-fields.ts';
import { fieldValue, listMembers, withoutFields } from '../http/fields/headers.ts';
import type { ResponseHead } from '../http/message.ts';
import { cidrSetOf } from '../lib/cidr-set.ts';

type Places = NonNullable<SiteConfig['geo']['allow']>;

/** Specificity of a match in `allow` or `deny`: the most specific one decides. */
const NOT_AT_ALL = 0;
const CLOSENESS = { continent: 1, country: 2, asn: 3, network: 4 } as const;

/** Location settings of a site; made once per config. */
export class SiteGeo {
  readonly #site: SiteConfig;
  readonly #fields: readonly (readonly [name: string, fact: GeoFact])[];
  /** In lower case. */
  readonly #names: ReadonlySet<string>;
  /** As CGI reads them. */
  readonly #folded: ReadonlySet<string>;
  readonly #allow: Matcher | undefined;
  readonly #deny: Matcher | undefined;
  /** Headers of a place: the locator returns one object for all addresses of a network. */
  readonly #values = new WeakMap<GeoLocation, readonly string[]>();

  constructor(site: SiteConfig) {
    const { allow, deny } = site.geo;
    this.#site = site;
    this.#fields = [...geoFields(site)];
    this.#names = new Set(this.#fields.map(([name]) => name.toLowerCase()));
    this.#folded = new Set(this.#fields.map(([name]) => asCgiReadsIt(name)));
    this.#allow = allow && matcher(allow);
    this.#deny = deny && matcher(deny);
  }

  /** True if any setting depends on the location of visitors. */
  get isUsed(): boolean {
    return this.#fields.length > 0 || this.restricts || Object.keys(this.#site.geo.redirect).length > 0;
  }

  get restricts(): boolean {
    return this.#allow !== undefined || this.#deny !== undefined;
  }

  /** Returns whether a visitor from this location is admitted. @param ip - Canonical. */
  admits(ip: string, place: GeoLocation | undefined): boolean {
    if (!this.restricts) return true;
    const denied = this.#deny?.(ip, place) ?? NOT_AT_ALL;
    const allowed = this.#allow?.(ip, place) ?? NOT_AT_ALL;
    return denied === NOT_AT_ALL && allowed === NOT_AT_ALL ? this.#allow === undefined : allowed > denied;
  }

  /** @returns The visitor's headers, without what only this edge may say of its place, and with that. */
  fieldsFor(headers: string[], place: GeoLocation | undefined): string[] {
    if (this.#names.size === 0) return headers;
    const result = withoutFieldsLike(headers, this.#folded);
    if (place === undefined) return result;
    let values = this.#values.get(place);
    if (values === undefined) {
      values = this.#fields.flatMap(([name, fact]) => {
        const value = FACTS[fact](place);
        return value === undefined ? [] : [name, value];
      });
      this.#values.set(place, values);
    }
    result.push(...values);
    return result;
  }

  /**
   * A browser cannot tell by `Vary` that it has moved to another country: it
   * does not send these headers. So what depends on them is for it alone, and
   * to be asked about again before it is used.
   */
  forBrowsers(headers: string[]): string[] {
    if (this.#names.size === 0) return headers;
    const vary = listMembers(fieldValue(headers, 'vary') ?? '');
    const kept = vary.filter((name) => !this.#names.has(name.toLowerCase()));
    if (kept.length === vary.length && this.#site.key.geo === undefined) return headers;
    const control = listMembers(fieldValue(headers, 'cache-control') ?? '');
    const mine = [...withoutFields(headers, new Set(['vary', 'cache-control', 'cdn-cache-control']))];
    if (kept.length > 0) mine.push('Vary', kept.join(', '));
    mine.push('Cache-Control', control.some(isNoStore) ? control.join(', ') : privately(control).join(', '));
    return mine;
  }

  /** Returns the site's own answer for visitors who are not admitted, if it has one. */
  refusal(): { readonly head: ResponseHead; readonly body: Buffer } | undefined {
    const { status, body, content_type } = this.#site.geo.refusal;
    if (body === undefined) return undefined;
    const bytes = Buffer.from(body);
    const headers = ['Cache-Control', 'no-store', 'Content-Type', content_type];
    headers.push('Content-Length', String(bytes.length), ...this.refusalFields());
    return { head: { status, statusText: '', headers }, body: bytes };
  }

  /** RFC 7725, section 4. */
  refusalFields(): string[] {
    const { blocked_by } = this.#site.geo.refusal;
    return blocked_by === undefined ? [] : ['Link', `<${blocked_by}>; rel="blocked-by"`];
  }

  /** Error code of the refusal, for logs, metrics and error pages. */
  get refusalCode(): 'geo_blocked' | 'legal_block' {
    return this.#site.geo.refusal.status === 451 ? 'legal_block' : 'geo_blocked';
  }

  /** True if stored responses do not depend on the location. */
  get isSameForAll(): boolean {
    return !this.restricts && this.#site.key.geo === undefined && Object.keys(this.#site.geo.redirect).length === 0;
  }

  /** Returns whether the header, in lower case, carries a location. */
  sendsField(name: string): boolean {
    return this.#names.has(name);
  }
}

const KNOWN = new WeakMap<SiteConfig, SiteGeo>();

export function siteGeo(site: SiteConfig): SiteGeo {
  let geo = KNOWN.get(site);
  if (geo === undefined) {
    geo = new SiteGeo(site);
    KNOWN.set(site, geo);
  }
  return geo;
}

/** Values of the headers; absent if unknown. A header holds ASCII, so names are percent-encoded. */
const FACTS: Readonly<Record<GeoFact, (place: GeoLocation) => string | undefined>> = {
  country: ({ country }) => country,
  continent: ({ continent }) => continent,
  subdivision: ({ subdivision }) => subdivision && encodeURIComponent(subdivision),
  city: ({ city }) => city && encodeURIComponent(city),
  coordinates: ({ coordinates }) => coordinates?.join(','),
  asn: ({ asn }) => (asn === undefined ? undefined : String(asn)),
  organization: ({ asOrganization }) => asOrganization && encodeURIComponent(asOrganization),
};

/** Returns the specificity of a list's best match for a visitor. */
type Matcher = (ip: string, place: GeoLocation | undefined) => number;

function matcher({ countries, continents, asns, networks }: Places): Matcher {
  const listed = cidrSetOf(networks);
  const [countrySet, continentSet, asnSet] = [new Set(countries), new Set<string>(continents), new Set(asns)];
  return (ip, place) => {
    if (listed.has(ip)) return CLOSENESS.network;
    if (place?.asn !== undefined && asnSet.has(place.asn)) return CLOSENESS.asn;
    if (place?.country !== undefined && countrySet.has(place.country)) return CLOSENESS.country;
    if (place?.continent !== undefined && continentSet.has(place.continent)) return CLOSENESS.continent;
    return NOT_AT_ALL;
  };
}

function isNoStore(directive: string): boolean {
  return directive.toLowerCase() === 'no-store';
}

/**
 * Directives that permit caches to store it or browsers to use it without asking; they are removed (RFC 9111, section
 * 5.2.2; RFC 8246).
 */
const STORABLE = /^(?:public|private|no-cache|s-maxage|proxy-revalidate|immutable|stale-while-revalidate)(?:=|$)/i;

function privately(directives: readonly string[]): string[] {
  return ['private', 'no-cache', ...directives.filter((directive) => !STORABLE.test(directive))];
}
