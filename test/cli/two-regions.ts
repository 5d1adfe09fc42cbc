/**
 * Files of two regions with a database of places that this writes, and commands about them.
 * @module
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { mmdb } from '../geo/mmdb.ts';
import { runCommand } from './process.ts';

/** Runs a command to its end. */
export async function run(args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { code, stdout, stderrLines } = await runCommand('cli/seawall.ts', args);
  return { code, stdout, stderr: stderrLines.join('\n') };
}

export const REGION = (name: string, coordinates: string, more = '') => `region: ${name}
coordinates: ${coordinates}
tier_secret: 0123456789abcdef
geo: { databases: [city.mmdb]${more} }
edges: [{ name: ${name}-1, listen: '127.0.0.1:1', tier: '127.0.0.1:2', public: [203.0.113.7] }]
`;
export const SITES: string = `sites:
  - { name: shop, hosts: [www.example.com], origin: { servers: [{ url: 'https://origin.example.net' }] } }
`;

/** @param eu - Further keys of `geo` in the first region. @returns Paths of both region files. */
export function files(t: Test, eu = '', database: Buffer | undefined = undefined): string[] {
  const folder = t.testdir({
    'eu.yaml': REGION('eu', '[50.11, 8.68]', eu) + SITES,
    'us.yaml': `${REGION('us', '[39.04, -77.49]', ', default: true')}`.replaceAll('127.0.0.1:', '127.0.0.2:') + SITES,
  });
  const munich = {
    city: { names: { en: 'Munich' } },
    country: { iso_code: 'DE' },
    location: { latitude: 48.1, longitude: 11.6 },
  };
  writeFileSync(join(folder, 'city.mmdb'), database ?? mmdb({ networks: [['11.0.0.0/8', munich]] }));
  return ['eu.yaml', 'us.yaml'].map((name) => join(folder, name));
}
