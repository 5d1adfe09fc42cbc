/**
 * The program's log: one JSON object a line, on standard error. Standard
 * output belongs to what a command answers.
 * @module
 */
import { type Logger, pino, stdTimeFunctions } from 'pino';
import { visible } from '../config/visible.ts';

export type { Logger };

/** From talkative to mute; what `--log-level` and `SEAWALL_LOG` accept. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

export function isLogLevel(text: string): text is LogLevel {
  return (LOG_LEVELS as readonly string[]).includes(text);
}

export interface LogOptions {
  /** Least severe level that is written. */
  readonly level?: LogLevel;
  /** The node or the part of the program that speaks: `name` in every line. */
  readonly name: string;
}

/**
 * Lines look like
 * `{"level":"warn","time":"2026-01-31T12:00:00.000Z","pid":17,"name":"eu-1","msg":"…"}`.
 *
 * Writing is synchronous, so that nothing is lost when the process ends; a
 * reader that has gone away silences the log instead of ending the process.
 * What a terminal would obey is escaped.
 */
export function createLog(options: LogOptions): Logger {
  const destination = pino.destination({ dest: 2, sync: true });
  return pino(
    {
      level: options.level ?? 'info',
      base: { pid: process.pid, name: options.name },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => destination.write(visible(line)) },
  );
}
