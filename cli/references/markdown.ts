/**
 * Pieces of Markdown for generated pages.
 * @module
 */

/** First line of each generated page. */
export const NOTE = '<!-- Made from tables in code by `npm run docs:references`; change those, not this page. -->';

export function codeBlock(text: string, language: 'text' | 'console' = 'text'): string {
  return `\`\`\`${language}\n${text.trimEnd()}\n\`\`\``;
}

/** Returns a row for each entry: its name as code, then its columns. */
export function rowsOf<Entry>(
  entries: Readonly<Record<string, Entry>>,
  columns: (entry: Entry) => readonly string[],
): string[][] {
  return Object.entries(entries).map(([name, entry]) => [`\`${name}\``, ...columns(entry)]);
}
