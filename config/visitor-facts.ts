/**
 * Facts about the location of a site's visitors: the headers that tell the origin, and the one that is in the key.
 * @module
 */
import type { SiteGeoConfig } from './schema/site-geo.ts';

/**
 * Facts about a visitor's location that can be sent to the origin, and the default name of the request header for each.
 */
export const GEO_HEADERS = {
  country: 'CDN-Visitor-Country',
  continent: 'CDN-Visitor-Continent',
  subdivision: 'CDN-Visitor-Region',
  city: 'CDN-Visitor-City',
  coordinates: 'CDN-Visitor-Coordinates',
  asn: 'CDN-Visitor-ASN',
  organization: 'CDN-Visitor-Organization',
} as const;

export type GeoFact = keyof typeof GEO_HEADERS;

export const GEO_FACTS = Object.keys(GEO_HEADERS) as readonly GeoFact[];

/** Facts about the location that the site's cache key may contain. */
export const GEO_KEYS = ['country', 'continent'] as const;

/** @returns Header → what it tells, of those that the origin is sent: the configured ones, and what is in the key. */
export function geoFields({
  geo,
  key,
}: {
  geo: SiteGeoConfig;
  key: { geo?: GeoFact | undefined };
}): Map<string, GeoFact> {
  const fields = new Map<string, GeoFact>();
  for (const fact of GEO_FACTS) {
    const wanted = geo.headers[fact] ?? (key.geo === fact ? true : undefined);
    if (wanted !== undefined) fields.set(wanted === true ? GEO_HEADERS[fact] : wanted, fact);
  }
  return fields;
}

/** @returns The header whose value is in the key. */
export function geoKeyField(site: { geo: SiteGeoConfig; key: { geo?: GeoFact | undefined } }): string | undefined {
  const { key, geo } = site;
  if (key.geo === undefined) return undefined;
  const named = geo.headers[key.geo];
  return typeof named === 'string' ? named : GEO_HEADERS[key.geo];
}
