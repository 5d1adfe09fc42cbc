/**
 * Listening sockets of this thread: those that are open, which another process can take over, and those that it has
 * taken over itself. A socket that two processes have stays open until both have closed it, with all connections that
 * wait there; none is lost when one process goes on in the place of another.
 *
 * @module
 */
import { closeSync } from 'node:fs';
import { type AddressInfo, Server } from 'node:net';
import { splitAddress } from '../../config/listener.ts';
import { listeningDescriptor } from '../node-internals/listening-descriptor.ts';

/** A listening socket, as one process tells another of it. */
export interface ListeningSocket {
  /** HOST:PORT, as in the config and as bound. */
  readonly addresses: readonly string[];
  readonly descriptor: number;
}

interface OpenServer {
  readonly server: Server;
  readonly address: string;
  readonly onRetire: () => void;
}

const open = new Set<OpenServer>();
const inherited: ListeningSocket[] = [];

/** Sockets of this thread that take connections at addresses that another process would listen on. */
export function listeningSockets(): ListeningSocket[] {
  return [...open].flatMap(({ server, address }) => {
    const descriptor = listeningDescriptor(server);
    // At port 0 the next process listens at another port.
    return descriptor === undefined || splitAddress(address).port === 0
      ? []
      : [{ addresses: [address, boundAddress(server)], descriptor }];
  });
}

/** Lets this thread listen on sockets of another process, where an address is one of theirs. */
export function inheritSockets(sockets: readonly ListeningSocket[]): void {
  inherited.push(...sockets);
}

/** Returns how many sockets of an address could be taken over. */
export function countInherited(address: string): number {
  return inherited.filter(({ addresses }) => addresses.includes(address)).length;
}

/** Takes a socket of each address, for another thread of this process. */
export function takeInherited(wanted: readonly string[]): ListeningSocket[] {
  return wanted.flatMap((address) => {
    const index = inherited.findIndex(({ addresses }) => addresses.includes(address));
    return index < 0 ? [] : inherited.splice(index, 1);
  });
}

/** Closes the sockets that nothing has taken: their addresses are not in the config any more. */
export function closeUnclaimed(): void {
  for (const { descriptor } of inherited.splice(0)) closeSync(descriptor);
}

/** Options of `listen` for HOST:PORT: a socket of another process, if this one has been given one for the address. */
export function listenOptions(
  address: string,
): { readonly host: string } & ({ readonly port: number } | { readonly fd: number }) {
  const [socket] = takeInherited([address]);
  const { host, port } = splitAddress(address);
  return socket === undefined ? { host, port } : { host, fd: socket.descriptor };
}

/** Counts a server that listens among those that another process can take over, until it closes. */
export function addListening(server: Server, address: string, onRetire: () => void = () => undefined): void {
  const entry = { server, address, onRetire };
  open.add(entry);
  server.once('close', () => open.delete(entry));
}

/**
 * Takes no more connections in this thread: another process has the sockets. Open connections end with their next
 * answer; they are not closed while they are idle, as a request may be on its way.
 */
export function retireSockets(): void {
  for (const { server, onRetire } of open) {
    onRetire();
    stopAccepting(server);
  }
}

/** Gives up the address; unlike `Server.close` of `node:http`, it leaves idle connections open. */
export function stopAccepting(server: Server): void {
  Server.prototype.close.call(server);
}

export function boundAddress(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}
