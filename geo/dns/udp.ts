/**
 * DNS over UDP: a datagram in, at most one out.
 *
 * Node reads up to 32 datagrams in a turn of its event loop. Their answers are
 * sent together when all are read: one that is sent by itself wakes up the process that
 * waits for it, and that costs more than all the rest (`npm run bench:dns`: half
 * the CPU of an answer).
 *
 * Node would look up the address of each answer, though it is one already, and
 * do so on the next tick: the `lookup` below says at once what it was asked.
 * @module
 */
import { createSocket, type Socket } from 'node:dgram';
import { joinAddress } from '../../config/listener.ts';
import { countInherited } from '../../http/listener/sockets.ts';
import type { Logger } from '../../telemetry/log.ts';

export interface UdpOptions {
  readonly host: string;
  readonly port: number;
  readonly respond: (message: Buffer, address: string) => Buffer | undefined;
  /** An answer that the system would not take, or an error in here. */
  readonly onFailed: () => void;
  readonly log: Logger;
}

export interface UdpListener {
  readonly port: number;
  /** Answers what has arrived, then no more. */
  close(): Promise<void>;
}

/** An answer, and where it goes. */
interface Answer {
  readonly bytes: Buffer;
  readonly to: number;
  readonly address: string;
}

/** Answers that wait for each other. */
const MAX_BATCH = 256;
/** Turns of the event loop without a datagram after which none is waiting: the first one may end before it has read. */
const IDLE_TURNS = 2;
/** Bound of the turns in which a closing socket reads: 8,192 datagrams, where more arrive all the time. */
const MAX_CLOSING_TURNS = 256;
/** Requested socket receive buffer, for queries that arrive while this process is busy; the kernel may grant less. */
const BUFFER_BYTES = 4 * 2 ** 20;

/** @throws the system's error when the address cannot be had. */
export async function listenUdp({ host, port, respond, onFailed, log }: UdpOptions): Promise<UdpListener> {
  const family = host.includes(':') ? 6 : 4;
  // Shared with the process that takes the place of this one, and with no other.
  if (port !== 0 && countInherited(joinAddress(host, port)) === 0) await checkFree(host, port);
  const socket = createSocket({
    reusePort: true,
    type: family === 6 ? 'udp6' : 'udp4',
    lookup: (hostname, _options, callback) => callback(null, hostname, family),
  });
  const sent = (error: Error | null): void => {
    if (error !== null) onFailed();
  };
  let waiting: Answer[] = [];
  const flush = (): void => {
    const batch = waiting;
    waiting = [];
    for (const { bytes, to, address } of batch) socket.send(bytes, to, address, sent);
  };
  let received = 0;
  socket.on('message', (message, { address, port: to }) => {
    received += 1;
    // Port 0 is no source of real queries, and cannot be answered.
    const bytes = to === 0 ? undefined : respond(message, address);
    if (bytes === undefined) return;
    waiting.push({ bytes, to, address });
    if (waiting.length === 1) setImmediate(flush);
    else if (waiting.length === MAX_BATCH) flush();
  });
  await bind(socket, host, port);
  socket.on('error', (error) => log.error({ err: error }, 'a UDP socket failed'));
  try {
    socket.setRecvBufferSize(BUFFER_BYTES);
    socket.setSendBufferSize(BUFFER_BYTES);
  } catch (error) {
    log.warn({ err: error }, 'UDP receive buffer is smaller than requested');
  }
  return {
    port: socket.address().port,
    close: async () => {
      // What is in the system's buffer is read first, 32 datagrams in each turn of the event loop.
      for (let turns = 0, idle = 0; idle < IDLE_TURNS && turns < MAX_CLOSING_TURNS; turns += 1) {
        const before = received;
        await new Promise((resolve) => setImmediate(resolve));
        flush();
        idle = received === before ? idle + 1 : 0;
      }
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  };
}

/** @throws The system's error when the address is in use. */
async function checkFree(host: string, port: number): Promise<void> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  try {
    await bind(socket, host, port);
  } finally {
    socket.close();
  }
}

function bind(socket: Socket, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address: host, port }, () => {
      socket.off('error', reject);
      resolve();
    });
  });
}
