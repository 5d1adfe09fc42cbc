/**
 * The blocks of docs/wordpress.md, so that what runs is what a reader copies.
 * @module
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { blocksOf, ROOT } from '../documented/blocks.ts';

const FILE = 'docs/wordpress.md';

/** @param index - Which of the blocks in this language, from 0. */
export function recipeBlock(language: string, index = 0): string {
  const blocks = blocksOf(FILE, readFileSync(join(ROOT, FILE), 'utf8'));
  const block = blocks.filter((one) => one.language === language)[index];
  if (block === undefined) throw new Error(`${FILE} has no block ${index} of ${language}`);
  return block.text;
}
