/**
 * Config files in a directory of their own, and what is said about them.
 * @module
 */
import { ConfigError, type ConfigProblem } from '../../config/load.ts';

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
