/**
 * Markdown of generated pages, with lines of at most 120 columns.
 * @module
 */

/** Maximum width of a line in the docs; test/words.test.ts holds every page to it. */
export const MAX_COLUMNS = 120;

/** Returns a paragraph as lines of at most 120 columns; longer words get lines of their own. */
export function paragraph(text: string, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line === '' || indent.length + longer.length <= MAX_COLUMNS) line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line].map((text, index) => (index === 0 ? text : `${indent}${text}`));
}

/**
 * Returns the lines of a table or, if one of its rows would be wider than the page, of a list: the first cell, in
 * parentheses the cells between with their headings, and after a colon the last cell.
 */
export function table(columns: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const lines = [columns, columns.map(() => '---'), ...rows].map((cells) => `| ${cells.map(escapeCell).join(' | ')} |`);
  if (lines.every((line) => line.length <= MAX_COLUMNS)) return lines;
  return rows.flatMap((cells) => paragraph(`- ${listItem(columns, cells)}`, '  '));
}

function listItem(columns: readonly string[], [first = '', ...others]: readonly string[]): string {
  const details = others.slice(0, -1).flatMap((cell, index) => (cell === '' ? [] : `${columns[index + 1]}: ${cell}`));
  const last = others.at(-1) ?? '';
  return `${first}${details.length > 0 ? ` (${details.join('; ')})` : ''}${last === '' ? '' : `: ${last}`}`;
}

/** Escapes the characters that end a cell: bars and line feeds. */
function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
