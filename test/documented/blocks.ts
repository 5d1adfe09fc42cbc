/**
 * Code blocks of the documentation: fenced ones and those indented by four
 * spaces, each with its file, line and language.
 * @module
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT: string = join(import.meta.dirname, '../..');

export interface Block {
  /** Path from the repository's root. */
  readonly file: string;
  /** First line of the content. */
  readonly line: number;
  /** First word of the info string; empty for an indented block and for a fence without one. */
  readonly language: string;
  /** `title="…"` of the info string. */
  readonly title: string | undefined;
  readonly text: string;
}

/** Markdown files that a user reads. */
export function documents(): string[] {
  return globSync(['*.md', 'docs/**/*.md'], { cwd: ROOT }).sort();
}

export function documentedBlocks(): Block[] {
  return documents().flatMap((file) => blocksOf(file, readFileSync(join(ROOT, file), 'utf8')));
}

const FENCE = /^( {0,3}|\s+)(`{3,}|~{3,})\s*([^\s`]*)([^`]*)$/;
const INDENTED = /^ {4}/;

export function blocksOf(file: string, markdown: string): Block[] {
  const lines = markdown.split('\n');
  const blocks: Block[] = [];
  for (let i = 0; i < lines.length; i++) {
    const fence = FENCE.exec(lines[i] as string);
    if (fence !== null) {
      const [, indent = '', marks = '', language = '', rest = ''] = fence;
      const closing = new RegExp(`^\\s*${marks[0]}{${marks.length},}\\s*$`);
      const from = i + 1;
      const length = lines.slice(from).findIndex((line) => closing.test(line));
      if (length === -1) throw new Error(`${file}:${from}: a fence that is never closed`);
      const text = lines.slice(from, from + length).map((line) => line.slice(Math.min(indent.length, leading(line))));
      blocks.push({ file, line: from + 1, language, title: /title="([^"]*)"/.exec(rest)?.[1], text: text.join('\n') });
      i = from + length;
    } else if (INDENTED.test(lines[i] as string) && (i === 0 || lines[i - 1] === '')) {
      const from = i;
      while (i < lines.length && (INDENTED.test(lines[i] as string) || lines[i] === '')) i++;
      const text = lines.slice(from, i).map((line) => line.slice(4));
      blocks.push({ file, line: from + 1, language: '', title: undefined, text: text.join('\n').trimEnd() });
      i--;
    }
  }
  return blocks;
}

function leading(line: string): number {
  return line.length - line.trimStart().length;
}
