/**
 * Reads the location from a database record, in either layout: nested, as in MaxMind's City, Country and ASN files (and
 * those of DB-IP and IPinfo that follow them), or flat, as in those of `@ip-location-db`.
 *
 * A file comes from outside: every value is looked at before it is believed.
 * @module
 */
import { CENTRES } from './centres.ts';
import { continentOf } from './continents.ts';
import { CONTINENTS, type Continent, type Coordinates, type GeoLocation } from './location.ts';

/** A place without the bits that it holds for: those differ from look-up to look-up. */
export type Facts = Omit<GeoLocation, 'prefix'>;

/** Longer names are cut: they go into headers. */
const MAX_NAME_CHARS = 200;

/** @returns What is known; `undefined` when the record says nothing of a place. */
export function factsOf(record: unknown): Facts | undefined {
  if (!isMapping(record)) return undefined;
  // One by one, and only what there is: this is done for most look-ups in a city file.
  const facts: { -readonly [K in keyof Facts]: Facts[K] } = {};
  const country = countryOf(record);
  const continent = continentCode(record);
  const coordinates = coordinatesOf(record);
  const asn = asnOf(record);
  const asOrganization = nameOf(record['autonomous_system_organization'] ?? record['as_name']);
  const city = nameOf(record['city']);
  const subdivision = subdivisionOf(record);
  if (country !== undefined) facts.country = country;
  if (continent !== undefined) facts.continent = continent;
  if (coordinates !== undefined) facts.coordinates = coordinates;
  if (asn !== undefined) facts.asn = asn;
  if (asOrganization !== undefined) facts.asOrganization = asOrganization;
  if (city !== undefined) facts.city = city;
  if (subdivision !== undefined) facts.subdivision = subdivision;
  for (const _ in facts) return facts;
  return undefined;
}

/** @returns What several databases know together: of each thing, what the first one says that knows it. */
export function merged(a: Facts, b: Facts): Facts {
  // The city of one database and the country of another need not be of the same place.
  if (a.country === undefined || b.country === undefined || a.country === b.country) return { ...b, ...a };
  const { asn, asOrganization } = b;
  return {
    ...(asn !== undefined && { asn }),
    ...(asOrganization !== undefined && { asOrganization }),
    ...a,
  };
}

/** @returns The same with what follows from the country: its continent, and its centre in place of coordinates. */
export function locationOf(facts: Facts, prefix: number): GeoLocation {
  const { country } = facts;
  const place: { -readonly [K in keyof GeoLocation]: GeoLocation[K] } = { ...facts, prefix };
  if (country !== undefined) {
    if (place.continent === undefined) setIfKnown(place, 'continent', continentOf(country));
    if (place.coordinates === undefined) setIfKnown(place, 'coordinates', CENTRES[country]);
  }
  return Object.freeze(place);
}

function setIfKnown<K extends keyof GeoLocation>(
  place: { [P in K]?: GeoLocation[P] },
  key: K,
  value: GeoLocation[K] | undefined,
): void {
  if (value !== undefined) place[key] = value;
}

type Mapping = Readonly<Record<string, unknown>>;

function countryOf(record: Mapping): string | undefined {
  const { country, country_code: flat, registered_country: registered } = record;
  // Without `country`, an anycast or satellite address: where it is registered is the best that is known.
  const code = flat ?? codeIn(country) ?? country ?? codeIn(registered);
  return typeof code === 'string' && /^[A-Z]{2}$/.test(code) && code !== 'ZZ' ? code : undefined;
}

function codeIn(value: unknown): unknown {
  return isMapping(value) ? value['iso_code'] : undefined;
}

function continentCode({ continent, continent_code: flat }: Mapping): Continent | undefined {
  const code = flat ?? (isMapping(continent) ? continent['code'] : continent);
  return CONTINENTS.find((known) => known === code);
}

function coordinatesOf(record: Mapping): Coordinates | undefined {
  const { location = record } = record;
  if (!isMapping(location)) return undefined;
  const [latitude, longitude] = [degrees(location['latitude'], 90), degrees(location['longitude'], 180)];
  return latitude === undefined || longitude === undefined ? undefined : Object.freeze([latitude, longitude] as const);
}

/** Four decimals are eleven metres; a 32-bit float has noise behind them. */
function degrees(value: unknown, most: number): number | undefined {
  if (typeof value !== 'number' || !(Math.abs(value) <= most)) return undefined;
  return Math.round(value * 10_000) / 10_000;
}

function asnOf(record: Mapping): number | undefined {
  const value = record['autonomous_system_number'] ?? record['asn'];
  const number = typeof value === 'string' ? Number(/^(?:AS)?(\d{1,10})$/.exec(value)?.[1] ?? Number.NaN) : value;
  return typeof number === 'number' && Number.isInteger(number) && number > 0 && number < 2 ** 32 ? number : undefined;
}

function subdivisionOf({ subdivisions, state1, region }: Mapping): string | undefined {
  const [first] = Array.isArray(subdivisions) ? subdivisions : [];
  if (!isMapping(first)) return nameOf(state1 ?? region);
  return nameOf(first['iso_code']) ?? nameOf(first);
}

/** A name, or a mapping of languages to names. */
function nameOf(value: unknown): string | undefined {
  const names = isMapping(value) ? value['names'] : undefined;
  const name = isMapping(names) ? names['en'] : value;
  if (typeof name !== 'string' || name === '') return undefined;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return name.slice(0, MAX_NAME_CHARS).replace(/[\0-\x1f\x7f]/g, ' ');
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
