/**
 * What a record of a database says of a place, whichever way it is written:
 * nested, as MaxMind's City, Country and ASN files (and those of DB-IP and
 * IPinfo that follow them), or flat, as those of `@ip-location-db`.
 *
 * A file comes from outside: every value is looked at before it is believed.
 * @module
 */
import { CENTRES } from './centres.ts';
import { continentOf } from './continents.ts';
import { CONTINENTS, type Continent, type Coordinates, type Place } from './place.ts';

/** A place without the bits that it holds for: those differ from look-up to look-up. */
export type Facts = Omit<Place, 'prefix'>;

/** Longer names are cut: they go into headers. */
const MAX_NAME_CHARS = 200;

/** @returns What is known; `undefined` when the record says nothing of a place. */
export function factsOf(record: unknown): Facts | undefined {
  if (!isMapping(record)) return undefined;
  const country = countryOf(record);
  const coordinates = coordinatesOf(record);
  const facts: Facts = compact({
    country,
    continent: continentCode(record),
    coordinates,
    asn: asnOf(record),
    asOrganization: nameOf(record['autonomous_system_organization'] ?? record['as_name']),
    city: nameOf(record['city']),
    subdivision: subdivisionOf(record),
  });
  return Object.keys(facts).length === 0 ? undefined : facts;
}

/** @returns What several databases know together: of each thing, what the first one says that knows it. */
export function merged(a: Facts, b: Facts): Facts {
  // A city of one database and the country of another may not be of the same place.
  const isElsewhere = a.country !== undefined && b.country !== undefined && a.country !== b.country;
  return isElsewhere ? { ...pick(b, ['asn', 'asOrganization']), ...a } : { ...b, ...a };
}

/** @returns The same with what follows from the country: its continent, and its centre in place of coordinates. */
export function completed(facts: Facts): Facts {
  const { country } = facts;
  if (country === undefined) return facts;
  const continent = facts.continent ?? continentOf(country);
  const coordinates = facts.coordinates ?? (Object.hasOwn(CENTRES, country) ? CENTRES[country] : undefined);
  return compact({ ...facts, continent, coordinates });
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

function pick(facts: Facts, keys: readonly (keyof Facts)[]): Facts {
  return Object.fromEntries(keys.flatMap((key) => (facts[key] === undefined ? [] : [[key, facts[key]]])));
}

function compact(facts: { readonly [K in keyof Facts]: Facts[K] | undefined }): Facts {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}
