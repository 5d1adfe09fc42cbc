/**
 * The process that takes the place of this one: of the version that is installed now, with the same arguments. It is
 * given the listening sockets, so no connection is lost, and this process goes on if it cannot start.
 * @module
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { ListeningSocket } from '../../http/listener/sockets.ts';
import { FIRST_DESCRIPTOR, isMessage, SOCKETS_VARIABLE, type ToPredecessor, type ToSuccessor } from './messages.ts';

/** The part of a service that another process can take over. */
export interface Handover {
  /** Listening sockets of all threads. */
  sockets(): Promise<readonly ListeningSocket[]>;
  /** Closes what only one process may use: journals, disks. Visitors are served from memory from then on. */
  release(): Promise<void>;
  /** Takes no more connections; open ones end with their next answer. */
  retire(): void;
}

const LAUNCHER = join(import.meta.dirname, '../seawall');

/** Maximum time until the new process serves. */
const START_LIMIT_MS = 120_000;

/**
 * Starts the new process. Resolves when its nodes serve.
 *
 * @param signal - Aborted when this process is to stop, and not to be replaced.
 * @throws When it could not start; it has ended then.
 */
export async function startSuccessor({ sockets, release }: Handover, signal: AbortSignal): Promise<number> {
  const given = await sockets();
  const child = spawn(LAUNCHER, process.argv.slice(2), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...given.map(({ descriptor }) => descriptor)],
    env: { ...process.env, [SOCKETS_VARIABLE]: JSON.stringify(given.map(({ addresses }) => addresses)) },
  });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    reject(new Error(`the new process did not serve within ${START_LIMIT_MS / 1000} s`));
  }, START_LIMIT_MS);
  signal.addEventListener('abort', () => reject(new Error('this process is to stop')));
  child.once('error', reject);
  child.once('exit', (code, signal) => reject(new Error(`the new process ended with ${signal ?? `code ${code}`}`)));
  child.on('message', (message) => {
    if (isMessage<ToPredecessor>(message, 'release')) {
      const released: ToSuccessor = { seawall: 'released' };
      release().then(() => child.send(released), reject);
    }
    if (isMessage<ToPredecessor>(message, 'serving') && !signal.aborted) {
      const independent: ToSuccessor = { seawall: 'independent' };
      child.send(independent, () => resolve(child.pid as number));
    }
  });
  try {
    return await promise;
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
    child.removeAllListeners();
    child.on('error', () => undefined);
    if (child.connected) child.disconnect();
    child.unref();
  }
}

/** Descriptors of the sockets that a new process is given, in the order of the addresses. */
export function givenSockets(addresses: readonly (readonly string[])[]): ListeningSocket[] {
  return addresses.map((of, index) => ({ addresses: of, descriptor: FIRST_DESCRIPTOR + index }));
}
