/**
 * Probes whether an address accepts TCP connections, without sending anything.
 * @module
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { splitAddress } from '../config/listener.ts';

/**
 * @param address - HOST:PORT; at port 0 this is unknown, and it counts as in use.
 * @returns `false` when connections are refused, `undefined` when there was no answer in time, or none that says it.
 */
export async function takesConnections(address: string, timeoutMs: number): Promise<boolean | undefined> {
  const { host, port } = splitAddress(address);
  if (port === 0) return true;
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(timeoutMs) });
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? false : undefined;
  } finally {
    socket.on('error', () => undefined); // it was only opened to see whether it opens
    socket.destroy();
  }
}
