import { test } from 'tap';
import { MAX_COLUMNS, paragraph, table } from '../../lib/markdown.ts';

test('a paragraph is broken between words, at most as wide as a page', async (t) => {
  const lines = paragraph('word '.repeat(100).trim(), '  ');
  t.ok(lines.every((line) => line.length <= MAX_COLUMNS));
  t.equal(lines.map((line) => line.trim()).join(' '), 'word '.repeat(100).trim());
  t.ok(lines.slice(1).every((line) => line.startsWith('  word')));
});

test('a word that is wider than a page has a line of its own', async (t) => {
  const long = 'x'.repeat(MAX_COLUMNS + 1);
  t.strictSame(paragraph(`a ${long} b`), ['a', long, 'b']);
});

test('a table that fits is one, with bars and line ends escaped', async (t) => {
  t.strictSame(table(['a', 'b'], [['1|2', '3\n4']]), ['| a | b |', '| --- | --- |', '| 1\\|2 | 3 4 |']);
});

test('a table with a row that is too wide becomes a list', async (t) => {
  const wide = 'w'.repeat(MAX_COLUMNS);
  t.strictSame(
    table(
      ['key', 'default', 'meaning'],
      [
        ['a', '1', wide],
        ['b', '', ''],
      ],
    ),
    ['- a (default: 1):', `  ${wide}`, '- b'],
  );
});
