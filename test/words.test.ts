/**
 * Rules of the language in this repository: doc comments, names and the width of the docs (docs/glossary.md).
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { MAX_COLUMNS } from '../lib/markdown.ts';

const ROOT = join(import.meta.dirname, '..');
const exclude = ['node_modules/**', '.tap/**', 'test/wordpress/site/**'];
const sources = globSync('**/*.ts', { cwd: ROOT, exclude });
const pages = globSync(['**/*.md', '.github/**/*.md'], { cwd: ROOT, exclude });
const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

/** Beginning of a doc comment, apart so that this file has none that these rules find. */
const OPENING = ['/', '**'].join('');

/** First words of relative clauses and questions; a doc comment begins with a noun or a verb instead. */
const CLAUSES =
  /^(?:What|Whatever|Whether|Where|Wherever|How|However|Of|Told|Who|Whoever|Whom|Whose|When|Whenever|Why|To|That|Those|Which|Whichever|Nobody|Somebody|Everybody|Anybody|Nothing|Something|Everything|Anything)\b/;

/** Words for people where a component acts: a visitor, a node, the requester, the reader, the caller. */
const PEOPLE = /\b(?:nobody|somebody|everybody|anybody|whoever)\b/gi;

/** The same, and turns of phrase that hide a rule, in titles of tests. */
const TITLE = /\b(?:nobody|somebody|everybody|anybody|whoever|lately|goes on|one who|those who)\b/i;

/** Title of a test that is a variable, or a template of one and nothing else. */
const BARE_TITLE = /^ *test\((?:[a-z]\w*|`\$\{[^}]+\}`),/gm;

test('doc comments begin with a noun or a verb', async (t) => {
  t.ok(sources.length > 600, 'the sources were found');
  t.strictSame(
    sources.flatMap((file) =>
      docComments(textOf(file))
        .filter((text) => CLAUSES.test(text))
        .map((text) => `${file}: ${text.slice(0, 60)}`),
    ),
    [],
  );
});

test('names have none of the words that docs/glossary.md lists as avoided in names', async (t) => {
  const avoided = new Set(avoidedInNames());
  t.ok(avoided.size > 10, 'the list of the glossary was found');
  t.strictSame(
    sources.flatMap((file) =>
      declaredNames(textOf(file))
        .filter((name) => wordsOf(name).some((word) => avoided.has(word)))
        .map((name) => `${file}: ${name}`),
    ),
    [],
  );
});

test('comments and pages name the component that acts', async (t) => {
  const found = [
    ...sources
      .filter((file) => !file.startsWith('test/'))
      .flatMap((file) => commentsOf(textOf(file)).map((text) => ({ file, text }))),
    ...pages.filter((page) => page !== 'docs/glossary.md').map((file) => ({ file, text: proseOf(textOf(file)) })),
  ].flatMap(({ file, text }) => [...text.matchAll(PEOPLE)].map(([word]) => `${file}: ${word}`));
  t.strictSame(found, []);
});

test('titles of tests name the component that acts', async (t) => {
  const titles = sources
    .filter((file) => file.startsWith('test/'))
    .flatMap((file) => titlesOf(textOf(file)).map((title) => ({ file, title })));
  t.ok(titles.length > 1_000, 'the titles were found');
  t.strictSame(
    titles.filter(({ title }) => TITLE.test(title)).map(({ file, title }) => `${file}: ${title}`),
    [],
  );
});

test('titles of tests made in a table say what is tested, and not only the entry of the table', async (t) => {
  const bare = sources
    .filter((file) => file.startsWith('test/'))
    .flatMap((file) => [...textOf(file).matchAll(BARE_TITLE)].map(([title]) => `${file}: ${title}`));
  t.strictSame(bare, []);
});

test(`lines of the docs have at most ${MAX_COLUMNS} columns`, async (t) => {
  t.ok(pages.length > 30, 'the pages were found');
  t.strictSame(
    pages.flatMap((page) =>
      textOf(page)
        .split('\n')
        .flatMap((line, index) => (isTooWide(line) ? `${page}:${index + 1}` : [])),
    ),
    [],
  );
});

test(`lines of comments have at most ${MAX_COLUMNS} columns`, async (t) => {
  t.strictSame(
    sources.flatMap((file) =>
      textOf(file)
        .split('\n')
        .flatMap((line, index) => (/^\s*(?:\/\/|\/?\*)/.test(line) && isTooWide(line) ? `${file}:${index + 1}` : [])),
    ),
    [],
  );
});

test('these rules find violations', async (t) => {
  t.strictSame(docComments(`${OPENING} What it is. */ x; ${OPENING}\n * A list\n * of two lines.\n */`), [
    'What it is.',
    'A list of two lines.',
  ]);
  t.ok(CLAUSES.test('Whether it is.'));
  t.notOk(CLAUSES.test('Whereabouts of it.'));
  t.strictSame(
    declaredNames(
      "const one = 'const no: 1'; // const no\nclass Two { readonly #three = 1; four(five: string): void {} }\nfunction six({ seven, eight: nine }: Two) {}",
    ),
    ['one', 'Two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'],
  );
  t.strictSame(wordsOf('fillsUnderWay_MAX_BYTESOf2'), ['fills', 'under', 'way', 'max', 'bytes', 'of2']);
  t.notOk(isTooWide(`- https://example.com/${'a'.repeat(MAX_COLUMNS)}`), 'nothing can break an address');
  t.ok(isTooWide(`| a ${'b '.repeat(MAX_COLUMNS)}|`), 'a table that wide becomes a list');
});

/** Returns the texts of doc comments, without their asterisks. */
function docComments(source: string): string[] {
  return [...source.matchAll(/\/\*\*(.*?)\*\//gs)].map(([, text = '']) =>
    text
      .replaceAll(/\n\s*\*/g, ' ')
      .replaceAll(/\s+/g, ' ')
      .trim(),
  );
}

/** Returns the texts of all comments. */
function commentsOf(source: string): string[] {
  return [...source.matchAll(/\/\*.*?\*\/|(?<=^|\s)\/\/ .*$/gms)].map(([text]) => text);
}

/** Returns a page without its blocks of code. */
function proseOf(page: string): string {
  return page.replaceAll(/```.*?```/gs, '');
}

/** Returns the titles of the tests of a file. */
function titlesOf(source: string): string[] {
  return [...source.matchAll(/\btest\(\s*(['`])(.*?)(?<!\\)\1/gs)].map(([, , title = '']) => title);
}

/** Returns the first column of the table "Words to avoid in names". */
function avoidedInNames(): string[] {
  const [, section = ''] = /\n## Words to avoid in names\n(.*?)(?:\n## |$)/s.exec(textOf('docs/glossary.md')) ?? [];
  return [...section.matchAll(/^\| (\w+(?:, \w+)*) \| .+ \|$/gm)]
    .flatMap(([, words = '']) => words.split(', '))
    .slice(1);
}

/** Returns names that a file declares: variables, functions, types, members, parameters. */
function declaredNames(source: string): string[] {
  const code = source
    .replaceAll(/\/\*.*?\*\//gs, '')
    .replaceAll(/'(?:[^'\\\n]|\\.)*'/g, "''")
    .replaceAll(/\/\/.*$/gm, '');
  const patterns =
    /\b(?:const|let|function\*?|class|interface|type|enum)\s+([\w$]+)|(?:^\s*|[{(,;]\s*)(?:(?:export|readonly|static|async|get|set|override|private|protected)\s+)*(?:\.\.\.)?#?([\w$]+)(?=\s*[?!]?\s*[:=(,}<])(?!\s*=>)|:\s*([\w$]+)(?=\s*[,}])/gm;
  const names = [...code.matchAll(patterns)].flatMap(
    ([, declared, member, alias]) => declared ?? member ?? alias ?? [],
  );
  return [...new Set(names)].filter((name) => !KEYWORDS.has(name) && !/^\d/.test(name));
}

const KEYWORDS = new Set(['if', 'for', 'while', 'switch', 'catch', 'return', 'string', 'number', 'boolean', 'void']);

/** Returns the words of a name in lower case. */
function wordsOf(name: string): string[] {
  return name
    .replaceAll(/([a-z\d])([A-Z])/g, '$1_$2')
    .replaceAll(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .split(/[_$]+/)
    .map((word) => word.toLowerCase())
    .filter((word) => word !== '');
}

/** Returns whether a line could have been broken, but was not. */
function isTooWide(line: string): boolean {
  return line.length > MAX_COLUMNS && !/^\s*(?:[-*>] |\d+\. )*\S+$/.test(line);
}
