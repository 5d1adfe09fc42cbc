/**
 * Files that an authority writes: whole or not at all, and private ones for their owner only.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';

const PUBLIC = 0o644;
const PRIVATE = 0o600;

export interface Write {
  /** Readable for the owner only. */
  readonly isPrivate?: boolean;
}

/** Puts a file in the place of the one that was there, if any. */
export function replaceFile(file: string, text: string, options: Write = {}): void {
  const beside = `${file}.${randomUUID()}`;
  try {
    write(beside, text, options);
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}

/** @throws `EEXIST` where there is such a file. */
export function createFile(file: string, text: string, options: Write = {}): void {
  write(file, text, options);
}

function write(file: string, text: string, { isPrivate = false }: Write): void {
  const descriptor = openSync(file, 'wx', isPrivate ? PRIVATE : PUBLIC);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
