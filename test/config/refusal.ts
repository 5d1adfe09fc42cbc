/**
 * Config files in a directory of their own, and what is said about them.
 * @module
 */
import { join } from 'node:path';
import { test } from 'tap';
import { ConfigError, type ConfigProblem, loadRegion } from '../../config/load.ts';

/** Two lines that every region file needs; what a test is about begins in line 3. */
export const HEAD = 'region: fra\ntier_secret: 0123456789abcdef\n';

/** A site that is beyond reproach. */
export const SITES = `sites:
  - name: shop
    hosts: [www.example.com]
    origin: { servers: [{ url: 'https://origin.example.net' }] }
`;

/** @returns The problems that `load` is refused with; none when it is not. */
export function problemsOf(load: () => unknown): readonly ConfigProblem[] {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** @returns `file:line:column key` of each problem, with paths as seen from `directory`. */
export function placesOf(directory: string, problems: readonly ConfigProblem[]): string[] {
  return problems.map(({ file, line, column, key }) =>
    `${file.replace(`${directory}/`, '')}:${line}:${column} ${key}`.trimEnd(),
  );
}

/** Two edges on two machines, from line 3 to 9. */
export const EDGES = `edges:
  - name: fra-1
    listen: 0.0.0.0:80
    tier: 10.0.0.1:8100
  - name: fra-2
    listen: 0.0.0.0:80
    tier: 10.0.0.2:8100
`;

/** A region below {@link HEAD}, and the problems that it is refused with, as `line:column key`; none: accepted. */
export interface RegionCase {
  readonly what: string;
  readonly yaml: string;
  readonly places?: readonly string[];
  /** Message of the first problem. */
  readonly says?: RegExp;
  readonly fix?: RegExp;
}

/** Tests each region of a table. */
export function testRegions(cases: readonly RegionCase[]): void {
  for (const { what, yaml, places = [], says, fix } of cases) {
    test(`a region: ${what}`, async (t) => {
      const directory = t.testdir({ 'region.yaml': HEAD + yaml });
      const problems = problemsOf(() => loadRegion(join(directory, 'region.yaml'), {}));
      t.same(
        placesOf(directory, problems),
        places.map((place) => `region.yaml:${place}`),
      );
      if (says) t.match(problems[0]?.message, says);
      if (fix) t.match(problems[0]?.fix, fix);
    });
  }
}
