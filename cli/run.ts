/**
 * Shared setup of `serve` and `start`: logging, signals, and the line that says that the nodes are ready.
 * @module
 */
import { flushCompileCache } from 'node:module';
import type { RegionConfig } from '../config/schema.ts';
import { closeUnclaimed } from '../http/listener/sockets.ts';
import { monotonicNow } from '../lib/clock.ts';
import { createLog, isLogLevel, LOG_LEVELS, type Logger, type LogLevel } from '../telemetry/log.ts';
import type { Options } from './command.ts';
import { UsageError } from './failure.ts';
import { CLOSING_ORDER, type RunningNode } from './nodes.ts';
import { endWithReader, flush } from './output.ts';
import { announce } from './ready.ts';
import { notifyReady } from './service-manager.ts';
import { runUntilStopped, type Service, watchNpm } from './signals.ts';
import { findPredecessor } from './takeover/predecessor.ts';
import { startSuccessor } from './takeover/successor.ts';

export const RUN_OPTIONS = {
  'log-level': {
    type: 'text',
    value: 'LEVEL',
    help: `Log level: ${LOG_LEVELS.join(', ')}. Default: $SEAWALL_LOG, else info.`,
  },
  json: { type: 'flag', help: 'When ready, print one line of JSON: {"ready":true,"pid":…,"nodes":[…]}.' },
} as const satisfies Options;

export const RUN_ABOUT = `
Logs JSON lines on standard error. SIGTERM and SIGINT let requests under way
finish (limits.drain_timeout), a second one ends the program at once, SIGHUP
reads the config again; one that is refused changes nothing. SIGUSR2 starts the
version that is installed now, which takes over the addresses.`;

/** @throws {UsageError} when it is not a level. */
export function logLevel(option: string | undefined): LogLevel {
  const [source, level] =
    option === undefined ? ['SEAWALL_LOG', process.env['SEAWALL_LOG'] || 'info'] : ['--log-level', option];
  if (isLogLevel(level)) return level;
  throw new UsageError(
    `${source}: there is no level ${JSON.stringify(level)}`,
    `The levels are ${LOG_LEVELS.join(', ')}.`,
  );
}

/** Beyond the time that nodes give their requests: for the listeners that operators use, and the sockets to close. */
const CLOSE_MARGIN_MS = 5_000;

/** @returns How long nodes of these regions may take to close, one role after the other. */
export function closeLimitMs(regions: readonly RegionConfig[]): number {
  return CLOSING_ORDER.length * Math.max(...regions.map(({ limits }) => limits.drain_timeout)) + CLOSE_MARGIN_MS;
}

export interface RunOptions {
  readonly level: LogLevel;
  readonly json: boolean;
  /** True if standard output carries the access log, which is JSON only. */
  readonly logsToOutput: boolean;
}

/** Runs the nodes of a service until a signal stops them. @returns The exit code. */
export async function run(
  start: () => Promise<Service & { readonly nodes: readonly RunningNode[] }>,
  { level, json, logsToOutput }: RunOptions,
): Promise<number> {
  const log: Logger = createLog({ name: 'seawall', level });
  const predecessor = findPredecessor();
  if (predecessor === undefined) watchNpm(process);
  process.stdout.off('error', endWithReader); // visitors are served with or without that reader
  process.stdout.once('error', ({ message: detail }) => log.warn({ detail }, 'standard output is closed'));
  process.stdout.on('error', () => undefined); // said once
  const code = await runUntilStopped(
    async () => {
      await predecessor?.release();
      const service = await start();
      closeUnclaimed();
      flushCompileCache(); // a node that is killed writes nothing, and what starts next compiles all of it again
      announce(service.nodes, { json, out: logsToOutput && !json ? process.stderr : process.stdout });
      await notifyReady(log);
      predecessor?.serving();
      return service;
    },
    {
      process,
      exit: process.exit,
      log,
      now: monotonicNow,
      replace: startSuccessor,
      isIndependent: () => predecessor?.hasHandedOver ?? false,
    },
  );
  await flush(process.stdout);
  return code;
}
