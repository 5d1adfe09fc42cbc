/**
 * A limit on the size of files that this process writes: to the program, a disk that is full.
 * @module
 */
import { execFileSync } from 'node:child_process';
import type { Test } from 'tap';
import '../../cli/ignored-signals.ts';

/** @returns Lifts the limit; done at the end of the test at the latest. */
export function limitFiles(t: Test, bytes: number): () => void {
  const set = (soft: string): void => {
    execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${soft}:`]);
  };
  const lift = (): void => set('unlimited');
  t.teardown(lift);
  set(String(bytes));
  return lift;
}
