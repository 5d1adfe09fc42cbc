/**
 * Writes what is made from the schema: the JSON Schema files for editors, and
 * the lists of docs/config.md (`npm run docs:config`).
 * @module
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { regionJsonSchema, siteJsonSchema } from './json-schema.ts';
import { referenceLists } from './reference.ts';

/** A file and what it should hold. */
export interface GeneratedFile {
  readonly url: URL;
  readonly content: string;
}

/** Separates the part written by hand, above, from the generated part below. */
const MARKER = '<!-- Made from config/schema.ts by `npm run docs:config`; change the schema, not what follows. -->\n';

/** @returns Every generated file as it should be. */
export function generatedFiles(): GeneratedFile[] {
  const page = new URL('../docs/config.md', import.meta.url);
  const [prose = ''] = readFileSync(page, 'utf8').split(MARKER, 1);
  return [
    { url: new URL('region.schema.json', import.meta.url), content: asJson(regionJsonSchema()) },
    { url: new URL('site.schema.json', import.meta.url), content: asJson(siteJsonSchema()) },
    { url: page, content: `${prose}${MARKER}\n${referenceLists()}` },
  ];
}

function asJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

if (import.meta.main) {
  for (const { url, content } of generatedFiles()) writeFileSync(url, content);
}
