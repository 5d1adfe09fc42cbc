/**
 * Versions of Seawall and of Node.js.
 * @module
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export function versionText(): string {
  const file = readFileSync(join(import.meta.dirname, '../package.json'), 'utf8');
  const { version } = JSON.parse(file) as { readonly version: string };
  return `seawall ${version} (Node ${process.versions.node})`;
}
