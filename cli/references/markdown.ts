/**
 * Pieces of Markdown for generated pages.
 * @module
 */

/** First line of each generated page. */
export const NOTE = '<!-- Made from tables in code by `npm run docs:references`; change those, not this page. -->';

export function codeBlock(text: string): string {
  return `\`\`\`text\n${text.trimEnd()}\n\`\`\``;
}

/** Returns the lines of a table. */
export function table(columns: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [columns, columns.map(() => '---'), ...rows].map((cells) => `| ${cells.map(escapeCell).join(' | ')} |`);
}

/** Returns a row for each entry: its name as code, then its columns. */
export function rowsOf<Entry>(
  entries: Readonly<Record<string, Entry>>,
  columns: (entry: Entry) => readonly string[],
): string[][] {
  return Object.entries(entries).map(([name, entry]) => [`\`${name}\``, ...columns(entry)]);
}

const MAX_COLUMNS = 120;

/** Returns a paragraph as lines of at most 120 columns. */
export function paragraph(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length <= MAX_COLUMNS) line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|');
}
