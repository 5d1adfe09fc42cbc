/**
 * The public caching suite on disk (github.com/http-tests/cache-tests): which
 * tests it has, and where its client and its origin are.
 *
 * Two layouts exist: the npm package `http-cache-tests` 0.4.5 keeps its engine
 * at its root, a checkout of the repository keeps it in `test-engine/`.
 * @module
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export const KINDS = ['required', 'optimal', 'check'] as const;
export type Kind = (typeof KINDS)[number];

export interface SuiteTest {
  readonly id: string;
  readonly name: string;
  readonly group: string;
  readonly kind: Kind;
  readonly dependsOn: readonly string[];
}

export interface Suite {
  /** `newest` for a checkout, else the version of the package: what its baseline is filed under. */
  readonly name: string;
  /** The very revision, for people: a version or a commit. */
  readonly revision: string;
  readonly dir: string;
  /** Folder with `client/` and `server/`. */
  readonly engineDir: string;
  readonly layout: 'package' | 'checkout';
  /** Every test, including those for browsers: a test may depend on any of them. */
  readonly tests: ReadonlyMap<string, SuiteTest>;
  /** The tests that a proxy is scored by, in the suite's order. */
  readonly applicable: readonly SuiteTest[];
}

/** A group of tests as the suite writes it; its client takes these as they are. */
export interface RawGroup {
  readonly id: string;
  readonly tests: readonly RawTest[];
}

export interface RawTest {
  readonly id: string;
  readonly name: string;
  readonly kind?: Kind;
  readonly depends_on?: readonly string[];
  readonly browser_only?: boolean;
  readonly requests: readonly { readonly pause_after?: boolean }[];
  /** Makes the suite's client and origin print the messages of this test. */
  dump?: boolean;
}

/** @throws {Error} when `dir` holds no usable suite; the message says what to do. */
export async function loadSuite(dir: string): Promise<Suite> {
  const root = resolve(dir);
  if (!existsSync(join(root, 'tests/index.mjs'))) {
    throw new Error(`${dir} holds no caching suite: it has no tests/index.mjs`);
  }
  const layout = existsSync(join(root, 'test-engine')) ? 'checkout' : 'package';
  const tests = new Map<string, SuiteTest>();
  const applicable: SuiteTest[] = [];
  for (const group of await loadGroups(root)) {
    for (const raw of group.tests) {
      if (tests.has(raw.id)) throw new Error(`the suite has two tests with the id ${raw.id}`);
      const test: SuiteTest = {
        id: raw.id,
        name: raw.name,
        group: group.id,
        kind: raw.kind ?? 'required',
        dependsOn: raw.depends_on ?? [],
      };
      tests.set(test.id, test);
      if (!raw.browser_only) applicable.push(test);
    }
  }
  const version = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
  return {
    // A checkout still calls itself 0.4.5 in its package.json.
    name: layout === 'checkout' ? 'newest' : version,
    revision: layout === 'checkout' ? commitOf(root) : `http-cache-tests ${version}`,
    dir: root,
    engineDir: layout === 'checkout' ? join(root, 'test-engine') : root,
    layout,
    tests,
    applicable,
  };
}

/** The groups of tests, with the one that the package's own command adds by hand. */
export async function loadGroups(dir: string): Promise<readonly RawGroup[]> {
  const groups = [...(await importDefault<readonly RawGroup[]>(join(dir, 'tests/index.mjs')))];
  const extra = join(dir, 'tests/surrogate-control.mjs');
  if (existsSync(extra)) {
    const group = await importDefault<RawGroup>(extra);
    if (!groups.some(({ id }) => id === group.id)) groups.push(group);
  }
  return groups;
}

/** Resolves a module as the suite itself would. */
export function resolveFromSuite(suite: Suite, module: string): string {
  try {
    return createRequire(join(suite.dir, 'package.json')).resolve(module);
  } catch {
    throw new Error(`${suite.dir} lacks its dependency ${module}: run "npm install" there`);
  }
}

async function importDefault<T>(file: string): Promise<T> {
  return ((await import(pathToFileURL(file).href)) as { default: T }).default;
}

function commitOf(dir: string): string {
  if (!existsSync(join(dir, '.git'))) return 'a copy without a commit';
  try {
    const commit = execFileSync('git', ['-C', dir, 'rev-parse', '--short=12', 'HEAD'], { encoding: 'utf8' });
    return `cache-tests ${commit.trim()}`;
  } catch {
    // No git here: the revision is only for people to read.
    return 'a checkout of an unknown commit';
  }
}
