/**
 * Folder of the spool: found out when the config is read, not by the first large upload.
 * @module
 */
import { accessSync, constants, statSync } from 'node:fs';
import { siblingPath } from './path.ts';
import type { ConfigProblem } from './problem.ts';
import type { Placed, RegionBody } from './read.ts';

/** @returns A problem where edges could make no file in `spool.folder`. */
export function spoolProblems({ config: { edges, spool }, source }: Placed<RegionBody>): ConfigProblem[] {
  if (edges.length === 0 || spool.file === 0) return [];
  const folder = siblingPath(source.file, spool.folder);
  const fault = faultOf(folder);
  if (fault === undefined) return [];
  const fix = 'Make it a folder that Seawall may write to, name another one, or set `spool.file: 0B`.';
  return [source.problem(['spool', 'folder'], `${folder} ${fault}`, fix)];
}

function faultOf(folder: string): string | undefined {
  try {
    if (!statSync(folder).isDirectory()) return 'is not a folder';
    accessSync(folder, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? 'does not exist' : `cannot be written to (${code})`;
  }
}
