/**
 * Failures of a command: one line on standard error for each thing to fix, and an exit code.
 * @module
 */
import { ConfigError, formatProblem } from '../config/problem.ts';

/** It was tried and failed. */
export const EXIT_FAILURE = 1;
/** The command line makes no sense. */
export const EXIT_USAGE = 2;

/** Code → exit status and meaning, for docs/errors.md. */
export const EXIT_CODES = {
  cli_usage: { exit: EXIT_USAGE, meaning: 'The command line is not valid; the message says what to write instead.' },
  config_refused: { exit: EXIT_FAILURE, meaning: 'A config file is refused: one line for each problem, with its fix.' },
  cli_failure: { exit: EXIT_FAILURE, meaning: 'The command was tried and failed; the message says why.' },
} as const;

/** The command line makes no sense; `fix` says how it would. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'cli_usage';
  readonly fix: string;

  constructor(message: string, fix: string) {
    super(message);
    this.fix = fix;
  }
}

/** Failure of a command, fully described by its message. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly code = 'cli_failure';
}

/** @returns The lines to print, and the code to exit with. */
export function describeFailure(error: unknown): { lines: string[]; exitCode: number } {
  if (error instanceof UsageError) {
    return { lines: [[`${error.message}.`, error.fix].filter(Boolean).join(' ')], exitCode: EXIT_USAGE };
  }
  if (error instanceof ConfigError) return { lines: error.problems.map(formatProblem), exitCode: EXIT_FAILURE };
  if (error instanceof Failure) return { lines: [error.message], exitCode: EXIT_FAILURE };
  if (isSystemError(error)) return { lines: [systemFailure(error)], exitCode: EXIT_FAILURE };
  // Nothing that a user did: where it happened is what there is to go by.
  return { lines: [error instanceof Error ? (error.stack ?? error.message) : String(error)], exitCode: EXIT_FAILURE };
}

/** Failures of files that a command line names, by the system's code. */
const FILE_FAILURES: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file. Fix: Create it, or correct the path.',
  ENOTDIR: 'a part of the path is a file, not a folder. Fix: Correct the path.',
  EISDIR: 'this is a folder, not a file. Fix: Name a file.',
  EACCES: 'the permission is missing. Fix: Give it to this user, or run the command as the owner.',
};

function systemFailure({ message, code = '', path }: NodeJS.ErrnoException): string {
  const failure = FILE_FAILURES[code];
  // A failed read has no path.
  if (failure !== undefined) return `${path ?? 'command line'}: ${failure}`;
  return message;
}

export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}
