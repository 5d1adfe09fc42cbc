/**
 * Checks that the demo's ports are free before anything starts, so that the error is one line.
 * @module
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { splitAddress } from '../../config/listener.ts';

/** @returns Those that a program already listens on. */
export async function takenAddresses(addresses: readonly string[]): Promise<string[]> {
  const taken = await Promise.all(addresses.map(isTaken));
  return addresses.filter((_, index) => taken[index]);
}

async function isTaken(address: string): Promise<boolean> {
  const server = createServer();
  server.listen(splitAddress(address));
  try {
    await once(server, 'listening');
  } catch (error) {
    // Anything else that is wrong, the node that listens there says better.
    return (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
  }
  server.close();
  await once(server, 'close');
  return false;
}
