/**
 * DNS over TCP (RFC 7766): several queries on a connection, answered in their
 * order; bounds on connections, on the time without a query, and on what
 * waits for a client that does not read.
 * @module
 */
import { createServer, type Socket } from 'node:net';
import { joinAddress } from '../../config/listener.ts';
import { addListening, listenOptions } from '../../http/listener/sockets.ts';
import { parseAddress } from '../../lib/address.ts';
import { framed, frameReader } from './frames.ts';

export interface TcpBounds {
  readonly maxConnections: number;
  readonly maxConnectionsPerNetwork: number;
  readonly idleMs: number;
}

export interface TcpOptions {
  readonly host: string;
  readonly port: number;
  readonly bounds: () => TcpBounds;
  readonly respond: (message: Buffer, address: string) => Buffer | undefined;
  /** Called with the number of open connections when it changes. */
  readonly onConnections: (count: number) => void;
  readonly onRefused: () => void;
}

export interface TcpListener {
  readonly port: number;
  /** Takes no more connections, writes the answers under way, closes. */
  close(): Promise<void>;
}

/** Maximum length of a query; the longest name with every option takes less than half of it. */
export const MAX_QUERY_BYTES = 4_096;
/** Answers that wait for a client to read; then its queries have to wait as well. */
const MAX_WAITING_BYTES = 131_072;
/** Time a client has to read the remaining answers when its connection is being closed. */
const LINGER_MS = 2_000;

/** @throws the system's error when the address cannot be had. */
export async function listenTcp(options: TcpOptions): Promise<TcpListener> {
  const { host, port, bounds, onConnections, onRefused } = options;
  const sockets = new Set<Socket>();
  const perNetwork = new Map<string, number>();
  const server = createServer({ noDelay: true }, (socket) => {
    const network = networkOf(socket.remoteAddress ?? '');
    const count = perNetwork.get(network) ?? 0;
    const { maxConnections, maxConnectionsPerNetwork } = bounds();
    if (sockets.size >= maxConnections || count >= maxConnectionsPerNetwork) {
      onRefused();
      socket.on('error', () => socket.destroy()); // there is no peer to report to
      socket.destroy();
      return;
    }
    sockets.add(socket);
    perNetwork.set(network, count + 1);
    onConnections(sockets.size);
    socket.once('close', () => {
      sockets.delete(socket);
      const left = (perNetwork.get(network) ?? 1) - 1;
      if (left === 0) perNetwork.delete(network);
      else perNetwork.set(network, left);
      onConnections(sockets.size);
    });
    serve(socket, options);
  });
  const wanted = joinAddress(host, port);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...listenOptions(wanted), backlog: 1_024 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  addListening(server, wanted);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) finish(socket);
      }),
  };
}

function serve(socket: Socket, { bounds, respond }: TcpOptions): void {
  const address = socket.remoteAddress ?? '';
  // Counted from the last whole query: one that comes byte by byte keeps nothing open.
  let idle = setTimeout(() => finish(socket), bounds().idleMs);
  const reader = frameReader(MAX_QUERY_BYTES, (message) => {
    clearTimeout(idle);
    idle = setTimeout(() => finish(socket), bounds().idleMs);
    const answer = respond(message, address);
    // RFC 7766, section 6.2.4 allows for no answer; what is no query at all is the end of it.
    if (answer === undefined) return false;
    socket.write(framed(answer));
    return true;
  });
  socket.on('data', (bytes: Buffer) => {
    if (!reader.push(bytes)) {
      finish(socket);
      return;
    }
    if (socket.writableLength > MAX_WAITING_BYTES) socket.pause();
  });
  socket.on('drain', () => socket.resume());
  socket.on('error', () => socket.destroy()); // a reset: there is no peer to report to
  socket.once('close', () => clearTimeout(idle));
}

/** Lets written bytes arrive; a client that does not read is cut off. */
function finish(socket: Socket): void {
  if (socket.writableEnded) return;
  socket.end();
  socket.resume();
  socket.removeAllListeners('data');
  socket.on('data', () => undefined); // read and dropped, so that closing does not become a reset
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

/** The /24 or /56 that an address is in. */
function networkOf(text: string): string {
  const address = parseAddress(text.split('%', 1)[0] ?? '');
  if (address === undefined) return '';
  if (address.family === 4) return `4:${address.ipv4 >>> 8}`;
  const [a = 0, b = 0, c = 0, d = 0] = address.groups;
  return `6:${a}:${b}:${c}:${d >> 8}`;
}
