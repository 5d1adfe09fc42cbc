/**
 * Problem in a config file: position, key, and fix.
 *
 * Nothing in this folder stops at the first problem; they are collected and
 * reported together, in the order of the file.
 * @module
 */

/** One thing to mend in a config file. */
export interface ConfigProblem {
  /** As it was named on the command line or in the file that refers to it. */
  readonly file: string;
  /** From 1; 0 when the problem is not at a place in a file (it cannot be read, or it is the command line). */
  readonly line: number;
  /** From 1, in UTF-16 units; 0 like `line`. */
  readonly column: number;
  /** Path in the document, such as `sites[0].rules[2].ttl`; empty for the whole document. */
  readonly key: string;
  readonly message: string;
  /** A sentence that says what to write instead. */
  readonly fix: string;
}

/** The steps from the root of a document to one of its values. */
export type KeyPath = readonly (string | number)[];

const PLAIN_KEY = /^[A-Za-z_][\w-]*$/;
/** A key from a file is quoted in a message; more of it would not help. */
const MAX_SHOWN_CHARS = 60;

/** So many problems of one kind in a file are looked for; more do not help, and finding their places takes time. */
export const MAX_PROBLEMS = 100;

/** A config that is refused; `problems` is never empty, and the message has a line for each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'config_refused';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}

/** @returns `file:line:column key: message. Fix: …` */
export function formatProblem(problem: ConfigProblem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file;
  const subject = problem.key === '' ? place : `${place} ${problem.key}`;
  return `${subject}: ${problem.message}. Fix: ${problem.fix}`;
}

/** @returns The path as people write it: `sites[0].rules[2].ttl`. */
export function keyOf(path: KeyPath): string {
  let key = '';
  for (const step of path) {
    if (typeof step === 'number') key += `[${step}]`;
    else if (!PLAIN_KEY.test(step)) key += `[${quote(step)}]`;
    else key += key === '' ? step : `.${step}`;
  }
  return key;
}

/** @returns `text` in quotes, on one line, without control characters and not longer than a message can bear. */
export function quote(text: string): string {
  return JSON.stringify(text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}…` : text);
}

/** Sorts by file in the order of first appearance, then by place, and drops what is said twice. */
export function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const distinct = [...new Map(problems.map((problem) => [formatProblem(problem), problem])).values()];
  const files = [...new Set(distinct.map((problem) => problem.file))];
  return distinct.sort(
    (a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column,
  );
}
