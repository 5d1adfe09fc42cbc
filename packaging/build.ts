/**
 * The program without types, for publishing: Node strips no types below `node_modules`. It has every module that the
 * command imports, under the same path and with the same lines, and what the program reads besides.
 *
 *     node packaging/build.ts [FOLDER]
 *
 * `npm pack` runs it before it packs; FOLDER is `dist` by default.
 * @module
 */
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';

const ROOT = join(import.meta.dirname, '..');

/** Modules that something else than an import starts. */
const ENTRIES = ['cli/seawall.ts'];

/** Files that are copied as they are. */
const FILES = ['config/region.schema.json', 'config/site.schema.json', 'control/dashboard/**/*.{js,css,svg}'];

const LAUNCHER = 'cli/seawall';

/** `from './a.ts'`, `import './a.ts'`, `import('./a.ts')` and `import.meta.resolve('./a.ts')`. */
const SPECIFIER = /(\b(?:from|import|import\(|import\.meta\.resolve\()\s*)'(\.[^']+)\.ts'/g;

/** The same for imports that are erased with the types. */
const TYPE_IMPORT = /^(?:import|export) type\b[^;]*;/gm;

/** A path in another form, which would lead nowhere. */
const LEFT_OVER = /'[^'\n]*\.ts'/;

/** @returns Paths of the modules, relative to the root. */
export function build(out: string): readonly string[] {
  rmSync(out, { recursive: true, force: true });
  const modules = new Set(ENTRIES);
  for (const file of modules) {
    const source = readFileSync(join(ROOT, file), 'utf8');
    for (const imported of importsOf(file, source)) modules.add(imported);
    write(join(out, `${file.slice(0, -'.ts'.length)}.js`), compiled(file, source));
  }
  for (const file of globSync(FILES, { cwd: ROOT })) write(join(out, file), readFileSync(join(ROOT, file), 'utf8'));
  const { name, version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  write(join(out, 'package.json'), `${JSON.stringify({ name, version, type: 'module' })}\n`);
  cpSync(join(ROOT, LAUNCHER), join(out, LAUNCHER)); // executable
  write(join(out, LAUNCHER), readFileSync(join(ROOT, LAUNCHER), 'utf8').replaceAll('seawall.ts', 'seawall.js'));
  return [...modules];
}

function importsOf(file: string, source: string): string[] {
  const values = source.replace(TYPE_IMPORT, '');
  return [...values.matchAll(SPECIFIER)].map(([, , path]) =>
    relative(ROOT, resolve(ROOT, dirname(file), `${path}.ts`)),
  );
}

function compiled(file: string, source: string): string {
  const code = stripTypeScriptTypes(source)
    .replace(SPECIFIER, "$1'$2.js'")
    .replaceAll(/[ \t]+$/gm, '');
  const left = LEFT_OVER.exec(code.replaceAll(/^\s*(?:\*|\/\/).*$/gm, ''));
  if (left !== null && !code.includes(`endsWith(${left[0]})`)) {
    throw new Error(`${file} names ${left[0]}, which is not there when it is published. Fix: import.meta.resolve(…)`);
  }
  return code;
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

if (import.meta.main) {
  const out = resolve(process.argv[2] ?? join(ROOT, 'dist'));
  process.stdout.write(`${build(out).length} modules in ${out}\n`);
}
