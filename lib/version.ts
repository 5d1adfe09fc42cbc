/**
 * Version of Seawall.
 * @module
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const file = readFileSync(join(import.meta.dirname, '../package.json'), 'utf8');

/** Version in package.json, such as `1.2.3`. */
export const { version: VERSION } = JSON.parse(file) as { readonly version: string };
