/**
 * Import rules between folders. Imports point downwards only; edge and shield do not know each other, and neither knows
 * the control node.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'tap';

const ROOT = join(import.meta.dirname, '..');

/** Folder → folders that it may import, besides itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  cli: [
    'control',
    'jobs',
    'edge',
    'origin-shield',
    'tier',
    'geo',
    'journal',
    'trust',
    'telemetry',
    'cache',
    'config',
    'http',
    'lib',
  ],
  control: ['jobs', 'geo', 'journal', 'trust', 'telemetry', 'cache', 'http', 'config', 'lib'],
  edge: ['geo', 'tier', 'jobs', 'journal', 'trust', 'telemetry', 'cache', 'http', 'config', 'lib'],
  'origin-shield': ['tier', 'jobs', 'journal', 'trust', 'telemetry', 'cache', 'http', 'config', 'lib'],
  tier: ['jobs', 'journal', 'trust', 'telemetry', 'cache', 'http', 'config', 'lib'],
  jobs: ['journal', 'trust', 'config', 'lib'],
  geo: ['journal', 'trust', 'telemetry', 'http', 'config', 'lib'],
  telemetry: ['trust', 'cache', 'http', 'config', 'lib'],
  cache: ['journal', 'http', 'config', 'lib'],
  journal: ['trust', 'http', 'config', 'lib'],
  trust: ['http', 'config', 'lib'],
  http: ['config', 'lib'],
  config: ['lib'],
  lib: [],
  packaging: ['cli', 'config', 'lib'],
  'load-tests': [
    'cli',
    'control',
    'jobs',
    'geo',
    'journal',
    'trust',
    'edge',
    'origin-shield',
    'tier',
    'telemetry',
    'cache',
    'http',
    'config',
    'lib',
    'test',
  ],
};

/** Folders of `cache/` that must be free of time, sockets and files. */
const PURE = ['cache/policy'];
const IMPURE = /\bDate\.now\(|\bnew Date\(\)|performance\.now\(|Math\.random\(|from 'node:(?:fs|net|http|dns|timers)/;

/** Matches `import … from '…'`, `import('…')` and `import '…'`. */
const IMPORT = /(?:\bfrom|\bimport\(?)\s*'(\.[^']+)'/g;

const files = Object.keys(MAY_IMPORT).flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: ROOT }));

test('every folder with code is in the table of import rules', async (t) => {
  const folders = new Set(globSync('*/**/*.ts', { cwd: ROOT, exclude: ['node_modules/**', '.tap/**'] }).map(topFolder));
  folders.delete('test');
  t.same(
    [...folders].filter((folder) => !(folder in MAY_IMPORT)),
    [],
  );
  t.ok(files.length > 40, 'the files were found');
});

test('imports point downwards', async (t) => {
  const wrong: string[] = [];
  for (const file of files) {
    for (const [, specifier] of readFileSync(join(ROOT, file), 'utf8').matchAll(IMPORT)) {
      const imported = relative(ROOT, join(ROOT, dirname(file), specifier as string));
      const [from, to] = [topFolder(file), topFolder(imported)];
      if (from !== to && !MAY_IMPORT[from]?.includes(to)) wrong.push(`${file} imports ${imported}`);
    }
  }
  t.same(wrong, []);
});

test('cache/ imports the terms and positions of the journal, and nothing else of it', async (t) => {
  const wrong: string[] = [];
  for (const file of files.filter((name) => topFolder(name) === 'cache')) {
    for (const [, specifier] of readFileSync(join(ROOT, file), 'utf8').matchAll(IMPORT)) {
      const imported = relative(ROOT, join(ROOT, dirname(file), specifier as string));
      if (topFolder(imported) === 'journal' && imported !== 'journal/terms.ts')
        wrong.push(`${file} imports ${imported}`);
    }
  }
  t.same(wrong, []);
});

test('tests and load tests share test/support/ and nothing else', async (t) => {
  const wrong: string[] = [];
  for (const file of globSync(['test/**/*.ts', 'load-tests/**/*.ts'], { cwd: ROOT })) {
    for (const [, specifier] of readFileSync(join(ROOT, file), 'utf8').matchAll(IMPORT)) {
      const imported = relative(ROOT, join(ROOT, dirname(file), specifier as string));
      const isTestOfThem = file.startsWith('test/load-tests/'); // what load tests are made of is tested as well
      const isWrong =
        topFolder(file) === 'test'
          ? topFolder(imported) === 'load-tests' && !isTestOfThem
          : topFolder(imported) === 'test' && !imported.startsWith('test/support/');
      if (isWrong) wrong.push(`${file} imports ${imported}`);
    }
  }
  t.same(wrong, []);
});

test('policy is pure: no clock, no I/O', async (t) => {
  const wrong = files
    .filter((file) => PURE.some((folder) => file.startsWith(`${folder}/`)))
    .filter((file) => IMPURE.test(readFileSync(join(ROOT, file), 'utf8')));
  t.same(wrong, []);
});

test('clocks are read in lib/clock.ts, by types that do not mix', async (t) => {
  const wrong = files
    .filter((file) => file !== 'lib/clock.ts' && !file.startsWith('load-tests/'))
    .filter((file) => /\bDate\.now\b|\bperformance\.now\b|\bhrtime\b/.test(readFileSync(join(ROOT, file), 'utf8')));
  t.same(wrong, []);
});

test('undocumented parts of Node are used in http/node-internals/ only', async (t) => {
  const undocumented =
    /\b_(?:handle|parent|consumed|paused)\b|getOwnPropertySymbols|process\.binding|internalBinding|setFlagsFromString/;
  const wrong = files
    .filter((file) => !file.startsWith('http/node-internals/') && !file.startsWith('load-tests/'))
    .filter((file) => undocumented.test(readFileSync(join(ROOT, file), 'utf8')));
  t.same(wrong, []);
});

function topFolder(file: string): string {
  return file.split('/')[0] as string;
}
