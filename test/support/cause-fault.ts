/**
 * Starts programs whose threads can be made to fail (thread-faults.ts), and makes them fail.
 * @module
 */
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FAULTS_SOCKET, type ThreadFault } from './thread-faults.ts';

const PROGRAM = join(import.meta.dirname, 'thread-faults.ts');

export interface Faults {
  /** Environment of the program. */
  readonly env: NodeJS.ProcessEnv;
  /** Resolves when the fault is under way. */
  cause(thread: number | undefined, fault: ThreadFault): Promise<void>;
}

let count = 0;

export function threadFaults(): Faults {
  const socketPath = join(tmpdir(), `seawall-faults-${process.pid}-${count++}.sock`);
  return {
    env: { NODE_OPTIONS: `--import=${PROGRAM}`, [FAULTS_SOCKET]: socketPath },
    cause(thread, fault) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const order = request({ socketPath, method: 'POST' }, (response) => response.resume().once('end', resolve));
      order.once('error', reject).end(JSON.stringify({ thread, fault }));
      return promise;
    },
  };
}
