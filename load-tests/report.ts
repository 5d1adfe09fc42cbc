/**
 * Prints measurements of the commands in this folder, and whether the goals are met.
 * @module
 */

export interface Row {
  readonly what: string;
  readonly value: string;
  /** Absent: nothing is promised. */
  readonly promise?: { readonly text: string; readonly kept: boolean };
}

/** Prints a table; a promise that is not kept makes the command exit with 1. */
export function print(title: string, rows: readonly Row[]): void {
  console.log(`\n${title}`);
  for (const { what, value, promise } of rows) {
    const verdict = promise === undefined ? '' : `${promise.text.padEnd(9)} ${promise.kept ? 'ok' : 'OUT OF BOUNDS'}`;
    console.log(`  ${what.padEnd(60)}${value.padStart(10)}   ${verdict}`.trimEnd());
    if (promise?.kept === false) process.exitCode = 1;
  }
}

/** A number that has to be another one. */
export function exactly(what: string, value: number, wanted: number): Row {
  return { what, value: number(value), promise: { text: `= ${number(wanted)}`, kept: value === wanted } };
}

/** Its thousands apart. */
export function number(value: number): string {
  return value.toLocaleString('en-US');
}
