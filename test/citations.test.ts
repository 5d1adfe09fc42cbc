/**
 * Code cites rules, promises, decisions, pages and files. What is cited has to
 * be there.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'tap';

const ROOT = join(import.meta.dirname, '..');

const exclude = ['**/node_modules/**', '**/.tap/**'];
const code = globSync('**/*.ts', { cwd: ROOT, exclude });
const pages = globSync(['*.md', 'docs/**/*.md'], { cwd: ROOT, exclude }).filter((page) => page !== 'CHANGELOG.md');

function textOf(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

/** Comments alone; a citation goes on over the end of a line. */
function commentsOf(file: string): string {
  const lines = textOf(file)
    .split('\n')
    .flatMap((line) => /^\s*(?:\/\*\*?|\*|\/\/)(.*)$/.exec(line)?.[1] ?? / \/\/ (.*)$/.exec(line)?.[1] ?? []);
  return lines.join(' ').replaceAll(/\s+/g, ' ');
}

/** @returns The numbers of `rules 2 to 4, 7 and 9`: 2, 3, 4, 7, 9. */
function numbersOf(list: string): number[] {
  const numbers: number[] = [];
  for (const [, separator = '', digits = ''] of list.matchAll(/(to|and|,|^)?\s*P?(\d+)/g)) {
    const number = Number(digits);
    if (separator === 'to') for (let n = (numbers.at(-1) ?? 0) + 1; n < number; n++) numbers.push(n);
    numbers.push(number);
  }
  return numbers;
}

const LIST = String.raw`\d+(?:(?:, | and | to )\d+)*`;
/** Not those of an RFC: `RFC 9112, section 6.3, rule 7`. */
const RULES = new RegExp(String.raw`(?<!section [\d.]+, )\brules? (${LIST})(?! of section)`, 'g');
const PROMISES = /\bpromises? (P\d+(?:(?:, | and | to )P\d+)*)/g;
const DECISIONS = /\bADR (\d+)/g;
const PAGE = /\bdocs\/[\w/-]+\.md\b/g;
const FILE = /(?<![\w/.-])(?:[\w-]+\/)*[\w-]+(?:\.test)?\.ts\b/g;

const [, sectionOfRules = ''] = /\n## The rules\n(.*?)(?=\n## )/s.exec(textOf('docs/purging.md')) ?? [];
const rules = new Set([...sectionOfRules.matchAll(/^(\d+)\. /gm)].map(([, number]) => Number(number)));
const promises = new Set(
  [...textOf('docs/promises.md').matchAll(/^\*\*P(\d+)\. /gm)].map(([, number]) => Number(number)),
);
const decisions = new Set(globSync('docs/adr/0*.md', { cwd: ROOT }).map((file) => Number(file.slice(9, 13))));

function missing(pattern: RegExp, known: ReadonlySet<number>): string[] {
  return [...code, ...pages].flatMap((file) => {
    const text = file.endsWith('.ts') ? commentsOf(file) : textOf(file).replaceAll(/\s+/g, ' ');
    return [...text.matchAll(pattern)]
      .flatMap(([, list = '']) => numbersOf(list))
      .filter((number) => !known.has(number))
      .map((number) => `${file}: ${number}`);
  });
}

test('every purge rule that is cited is in docs/purging.md', async (t) => {
  t.same([...rules], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  t.same(missing(RULES, rules), []);
});

test('every promise that is cited is in docs/promises.md', async (t) => {
  t.same([...promises], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
  t.same(missing(PROMISES, promises), []);
});

test('every decision that is cited is in docs/adr', async (t) => {
  t.ok(decisions.size > 0);
  t.same(missing(DECISIONS, decisions), []);
});

test('the index of decisions has each with a status, and no other', async (t) => {
  const index = textOf('docs/adr/README.md').replaceAll(/\n {2}(?=\S)/g, ' '); // each on one line
  const listed = [...index.matchAll(/^- \[(\d+)\]\(([\w-]+\.md)\)\. Decision: (.+); status: (.+)$/gm)];
  const files = globSync('docs/adr/0*.md', { cwd: ROOT }).sort();
  t.strictSame(
    listed.map(([, number, file]) => [Number(number), `docs/adr/${file}`]),
    files.map((file) => [Number(file.slice(9, 13)), file]),
  );
  for (const [, number, file = '', , status = ''] of listed) {
    const [heading = ''] = textOf(`docs/adr/${file}`).split('\n');
    t.ok(heading.startsWith(`# ${number}. `), `${file} begins with its number`);
    t.match(
      status,
      /^(?:in force|replaced by \[\d+\]\([\w-]+\.md\)|(?:a sketch|a module), not in use|proposed|considered|a sketch)/,
      file,
    );
  }
});

test('pages and files that comments name exist', async (t) => {
  const dangling = code.flatMap((file) => {
    const comments = commentsOf(file);
    const named = [...comments.matchAll(PAGE), ...comments.matchAll(FILE)].map(([name]) => name);
    return named
      .filter((name) => !existsSync(join(ROOT, name)) && !existsSync(join(ROOT, dirname(file), name)))
      .map((name) => `${file}: ${name}`);
  });
  t.same(dangling, []);
});

test('relative links of pages lead somewhere', async (t) => {
  const dangling = pages.flatMap((page) =>
    [...textOf(page).matchAll(/\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !existsSync(join(ROOT, dirname(page), target)))
      .map((target) => `${page}: ${target}`),
  );
  t.same(dangling, []);
});
