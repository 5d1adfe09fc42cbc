/**
 * Notifications to systemd (sd_notify): Node has no Unix datagrams, so systemd's own program sends them. Without a
 * service manager there is nothing to send.
 * @module
 */
import { execFile } from 'node:child_process';
import type { Logger } from '../telemetry/log.ts';

const PROGRAM = 'systemd-notify';

/** Maximum time to send one; a service that has not said that it is ready is ended by systemd later. */
const TIMEOUT_MS = 10_000;

/** Environment variable with the service manager's socket. */
const SOCKET = 'NOTIFY_SOCKET';

/** Says that this process serves, and is the one that signals are for. Never rejects. */
export async function notifyReady(log: Logger, env: NodeJS.ProcessEnv = process.env): Promise<void> {
  if (env[SOCKET] === undefined) return;
  const { promise, resolve } = Promise.withResolvers<Error | null>();
  execFile(PROGRAM, ['READY=1', `MAINPID=${process.pid}`], { env, timeout: TIMEOUT_MS }, resolve);
  const error = await promise;
  if (error !== null) log.error({ detail: error.message }, 'the service manager was not told that the nodes are ready');
}
