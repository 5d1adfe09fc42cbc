/**
 * A program that runs until it is told to stop: SIGTERM and SIGINT let what is
 * under way finish, a second one ends it at once, SIGHUP reads the config again,
 * SIGUSR2 has the version that is installed now take its place.
 * docs/operating.md has all signals.
 * @module
 */
import type { EventEmitter } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { ConfigError, formatProblem } from '../config/problem.ts';
import { type MonotonicMs, msBetween } from '../lib/clock.ts';
import type { Logger } from '../telemetry/log.ts';
import { EXIT_FAILURE } from './failure.ts';
import type { Handover } from './takeover/successor.ts';

/** Running service that signals act on. */
export interface Service {
  /** Maximum duration of `close`, in milliseconds. */
  readonly closeLimitMs: number;
  /** @throws {ConfigError} when the new config is refused; the old one stays. */
  reload(): void | Promise<void>;
  /** For the process that takes its place; absent: none can. */
  readonly handover?: Handover;
  /** Takes nothing new, finishes what is under way. */
  close(): Promise<void>;
}

export interface Supervision {
  /** Source of signals. */
  readonly process: Pick<EventEmitter, 'on' | 'off'>;
  /** Ends the program without further ado. */
  readonly exit: (code: number) => void;
  readonly log: Logger;
  readonly now: () => MonotonicMs;
  /** Starts the process that takes the place of this one; resolves when it serves. Absent: none can. */
  readonly replace?: (handover: Handover, signal: AbortSignal) => Promise<number>;
  /** Returns whether the parent may end without this process, though it watches it over a channel. Absent: no. */
  readonly isIndependent?: () => boolean;
}

/**
 * Time in which open connections end with their next answer, once another process takes the new ones. Longer ones are
 * closed when they are idle: a client has to expect that of a connection that it has not used for so long.
 */
const RETIRED_MS = 2_000;

/**
 * npm hands on a Ctrl-C that the terminal has already sent to the whole
 * process group: both arrive within milliseconds and mean one.
 */
const SAME_SIGNAL_MS = 300;

/**
 * Signals count from the first moment: one that comes while the service still
 * starts is obeyed once it has started.
 *
 * @returns The exit code: 0 when everything under way was finished.
 * @throws What `start` fails with.
 */
export async function runUntilStopped(
  start: () => Promise<Service>,
  { process, exit, log, now, replace, isIndependent = () => false }: Supervision,
): Promise<number> {
  const stop = Promise.withResolvers<void>();
  const started = Promise.withResolvers<Service>();
  const stopping = new AbortController();
  let stoppedAt: MonotonicMs | undefined;
  let reloads = Promise.resolve();

  const onStop = (reason: string): void => {
    if (stoppedAt === undefined) {
      stoppedAt = now();
      log.info({ reason }, 'stopping: draining requests in flight');
      stopping.abort();
      stop.resolve();
    } else if (msBetween(stoppedAt, now()) > SAME_SIGNAL_MS) {
      log.warn({ reason }, 'stopping at once');
      exit(EXIT_FAILURE);
    }
  };
  const onReload = (): void => {
    // One at a time, in the order of the signals.
    reloads = reloads.then(async () => reload(await started.promise, log));
  };
  const onReplace = (): void => {
    reloads = reloads.then(async () => {
      const { handover } = await started.promise;
      if (stoppedAt !== undefined || handover === undefined || replace === undefined) return;
      try {
        const pid = await replace(handover, stopping.signal);
        log.info({ pid }, 'another process serves in place of this one');
      } catch (error) {
        if (stopping.signal.aborted) return;
        const { message: detail } = error as Error;
        log.error(
          { detail },
          'upgrade failed: this process goes on, without its disk and its journal if it had closed them',
        );
        return;
      }
      handover.retire();
      await wait(RETIRED_MS);
      onStop('another process has taken over');
    });
  };
  const listeners = {
    SIGTERM: () => onStop('SIGTERM'),
    SIGINT: () => onStop('SIGINT'),
    SIGHUP: onReload,
    SIGUSR2: onReplace,
    // A parent that watches this process over a channel has gone; nothing else would stop it.
    disconnect: () => {
      if (!isIndependent()) onStop('the parent process is gone');
    },
  };
  for (const [event, listener] of Object.entries(listeners)) process.on(event, listener);

  try {
    const service = await start();
    started.resolve(service);
    await stop.promise;
    return await closeInTime(service, log);
  } finally {
    for (const [event, listener] of Object.entries(listeners)) process.off(event, listener);
  }
}

/** Interval of checks that npm still runs. */
const NPM_CHECK_MS = 500;

/**
 * Emits `disconnect` when the npm that has started this process ends before
 * it: npm passes SIGTERM and SIGINT on, but ends on any other signal and leaves
 * behind what it has started.
 */
export function watchNpm(process: NodeJS.Process): void {
  const { npm_package_name: name, npm_lifecycle_event: script } = process.env;
  if (name !== 'seawall' || !(script === 'seawall' || script === 'start')) return; // others' scripts may mean to end first
  const npm = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === npm) return;
    clearInterval(timer);
    process.emit('disconnect');
  }, NPM_CHECK_MS);
  timer.unref();
}

async function reload(service: Service, log: Logger): Promise<void> {
  try {
    await service.reload();
  } catch (error) {
    if (!(error instanceof ConfigError)) {
      log.error({ err: error }, 'config reload failed; the running config stays');
      return;
    }
    for (const problem of error.problems) log.error(formatProblem(problem));
    log.error('new config rejected; the running config stays');
  }
}

async function closeInTime(service: Service, log: Logger): Promise<number> {
  const late = Promise.withResolvers<number>();
  const timer = setTimeout(() => {
    log.error({ limitMs: service.closeLimitMs }, 'stopping took too long; requests in flight are cut off');
    late.resolve(EXIT_FAILURE);
  }, service.closeLimitMs);
  const closed = service.close().then(() => {
    log.info('stopped');
    return 0;
  });
  try {
    return await Promise.race([closed, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
