/**
 * References from one config file to another.
 * @module
 */
import { realpathSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';

/** @returns `path` as written in `file`, from where `file` was named. */
export function siblingPath(file: string, path: string): string {
  return isAbsolute(path) ? path : join(dirname(file), path);
}

/** @returns The one path of a file, however it is named. */
export function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file; // It cannot be read; that is reported where it is read.
  }
}
