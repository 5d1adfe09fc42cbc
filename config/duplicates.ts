/**
 * Things that must not occur twice, and how a problem names the other place.
 * @module
 */
import type { Source } from './document.ts';
import type { KeyPath } from './problem.ts';

/** The name of something, and where it was given. */
export interface Named {
  readonly name: string;
  readonly source: Source;
  readonly path: KeyPath;
}

/** @returns Each item whose key came before, with the first that had it. */
export function repeated<T>(items: readonly T[], keyOfItem: (item: T) => string): [later: T, first: T][] {
  const firsts = new Map<string, T>();
  return items.flatMap((item): [T, T][] => {
    const key = keyOfItem(item);
    const first = firsts.get(key);
    if (first === undefined) firsts.set(key, item);
    return first === undefined ? [] : [[item, first]];
  });
}

/** @returns A place in words: only the key when it is in `file`. */
export function positionText({ source, path }: Pick<Named, 'source' | 'path'>, file: string): string {
  const { key } = source.problem(path.at(-1) === 'name' ? path.slice(0, -1) : path, '', '');
  if (source.file === file) return key;
  return key === '' ? source.file : `${key} in ${source.file}`;
}
