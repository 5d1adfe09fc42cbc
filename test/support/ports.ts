/**
 * Ports for processes that have to be told theirs before they start. Below those that systems take for connections and
 * for servers that ask for any port, and each held for this process: no other test gets it before this process ends.
 * @module
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type ListenOptions } from 'node:net';

/** Linux takes ports for connections from 32,768 on: one that was free only a moment ago may be taken by a client. */
const LEAST_PORT = 20_000;
const MOST_PORT = 30_000;

let next = LEAST_PORT + Math.floor(Math.random() * (MOST_PORT - LEAST_PORT));

/** Returns ports of 127.0.0.1 on which no process listens, by TCP or UDP. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let tried = 0; ports.length < count; tried++) {
    if (tried > MOST_PORT - LEAST_PORT) throw new Error(`no ports are free from ${LEAST_PORT} to ${MOST_PORT}`);
    const port = next;
    next = next === MOST_PORT ? LEAST_PORT : next + 1;
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

/** Returns one such port. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}

/** Returns an address at which no process listens. */
export async function freeAddress(): Promise<string> {
  return `127.0.0.1:${await freePort()}`;
}

async function isFree(port: number): Promise<boolean> {
  // A socket with a name and without a file (Linux): it is gone with the process that has it, however that ends.
  if (process.platform === 'linux' && !(await listens({ path: `\0seawall-port-${port}` }, true))) return false;
  return (await listens({ port, host: '127.0.0.1' }, false)) && (await isFreeForUdp(port));
}

/** @returns Whether a server can listen there. */
async function listens(where: ListenOptions, forGood: boolean): Promise<boolean> {
  const server = createServer().listen(where);
  try {
    await once(server, 'listening');
  } catch {
    return false; // whatever is wrong with it, another one will do
  }
  if (forGood) server.unref();
  else await once(server.close(), 'close');
  return true;
}

async function isFreeForUdp(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  socket.bind(port, '127.0.0.1');
  try {
    await once(socket, 'listening');
  } catch {
    return false;
  }
  socket.close();
  await once(socket, 'close');
  return true;
}
