/**
 * Starts programs whose threads can be made to fail (thread-faults.ts), and makes them fail.
 * @module
 */
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Accepted, FAULTS_SOCKET, type ThreadFault } from './thread-faults.ts';

const PROGRAM = join(import.meta.dirname, 'thread-faults.ts');

export interface Faults {
  /** Environment of the program. */
  readonly env: NodeJS.ProcessEnv;
  /** Resolves when the fault is under way. */
  cause(thread: number | undefined, fault: ThreadFault): Promise<void>;
  /** @returns All connections that threads took so far, at any of their ports. */
  connections(): Promise<readonly Accepted[]>;
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
    async connections() {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const asked = request({ socketPath, method: 'GET' }, (response) => void text(response).then(resolve, reject));
      asked.once('error', reject).end();
      return JSON.parse(await promise) as Accepted[];
    },
  };
}
