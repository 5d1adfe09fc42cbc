/**
 * Fingerprint of a region's config, by which control nodes see that a node runs another one than their files say.
 * @module
 */
import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import type { RegionConfig } from './schema.ts';

const LENGTH = 12;

/** Keys whose values are secrets, or differ between machines. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  'file',
  'fingerprint',
  'password',
  'previous_secret',
  'secret',
  'tier_secret',
]);

/** @returns Fingerprint of several files: the same in whichever order they were named. */
export function fingerprintOfAll(regions: readonly RegionConfig[]): string {
  const all = regions.map(({ region, fingerprint = '' }) => `${region} ${fingerprint}`).sort();
  return createHash('sha256').update(all.join('\n')).digest('hex').slice(0, LENGTH);
}

/** @returns Hexadecimal digits: the same for the same config in another folder. */
export function fingerprintOf(region: RegionConfig): string {
  const folder = `${dirname(region.file)}/`;
  const text = JSON.stringify(region, (key, value: unknown) => {
    if (LEFT_OUT.has(key)) return undefined;
    // Names of files are complete by now.
    return typeof value === 'string' && value.startsWith(folder) ? value.slice(folder.length) : value;
  });
  return createHash('sha256').update(text).digest('hex').slice(0, LENGTH);
}
