/**
 * Code blocks of the documents, so that a test runs what a reader copies.
 * @module
 */
import { readFileSync } from 'node:fs';

/**
 * The text of a fenced code block.
 *
 * @param file - Path of a Markdown file.
 * @param language - Word after the opening fence.
 * @param index - Which of the blocks in this language, from 0.
 */
export function codeBlock(file: string, language: string, index = 0): string {
  const blocks = [...readFileSync(file, 'utf8').matchAll(/^```(\S+)\n([\s\S]*?)^```$/gm)];
  const block = blocks.filter(([, of]) => of === language)[index]?.[2];
  if (block === undefined) throw new Error(`${file} has no block ${index} of ${language}`);
  return block;
}
