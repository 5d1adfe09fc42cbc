/**
 * Checks of this process's Node for what the modules of this folder use.
 * @module
 */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { CONNECTION_BELOW, connectionBelow } from './connection-below.ts';
import { DIRECT_WRITES, writeDirectly } from './direct-writes.ts';
import { HANDSHAKE_TIMEOUT, hasHandshakeTimeout } from './handshake-timeout.ts';
import { LISTENING_DESCRIPTOR, listeningDescriptor } from './listening-descriptor.ts';
import type { NodeInternal } from './node-internal.ts';
import {
  canReportErrors,
  keepFromParser,
  onMessageBegin,
  PARSER_BEGIN,
  PARSER_ERRORS,
  PARSER_INPUT,
  PARSER_PAUSE,
} from './parser-input.ts';
import { READ_TIMERS, replaceTimer } from './read-timers.ts';
import { SHARED_READS, shareReads } from './shared-reads.ts';

export const NODE_INTERNALS: readonly NodeInternal[] = [
  SHARED_READS,
  READ_TIMERS,
  DIRECT_WRITES,
  PARSER_INPUT,
  PARSER_BEGIN,
  PARSER_PAUSE,
  PARSER_ERRORS,
  HANDSHAKE_TIMEOUT,
  CONNECTION_BELOW,
  LISTENING_DESCRIPTOR,
];

/** Time for all checks together; what has not shown by then counts as absent. */
const TIMEOUT_MS = 2_000;

interface Log {
  warn(details: object, message: string): void;
}

let checked: Promise<void> | undefined;

/** Checks once in a process, and logs what each absence means. Never rejects. */
export async function checkNodeInternals(log: Log): Promise<void> {
  checked ??= check();
  await checked;
  for (const { name, uses, without, isInUse } of NODE_INTERNALS) {
    if (!isInUse) log.warn({ feature: name, uses, node: process.version }, `this version of Node lacks it: ${without}`);
  }
}

async function check(): Promise<void> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  await Promise.all([
    each(SHARED_READS, () => withConnection(timeout, sharesReads)),
    each(READ_TIMERS, () => withConnection(timeout, updatesTimer)),
    each(DIRECT_WRITES, () => withConnection(timeout, writesDirectly)),
    each(PARSER_INPUT, () => withConnection(timeout, parses)),
    each(HANDSHAKE_TIMEOUT, async () => hasHandshakeTimeout(createTlsServer())),
    each(LISTENING_DESCRIPTOR, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening', { signal: timeout });
      const isKnown = listeningDescriptor(server) !== undefined;
      server.close();
      return isKnown;
    }),
    each(CONNECTION_BELOW, async () => {
      const below = new Socket();
      const isBelow = connectionBelow(new TLSSocket(below, { isServer: true })) === below;
      below.destroy();
      return isBelow;
    }),
  ]);
  for (const internal of [PARSER_BEGIN, PARSER_PAUSE, PARSER_ERRORS]) if (!internal.isChecked) internal.found(false);
}

async function each(internal: NodeInternal, isPresent: () => Promise<boolean>): Promise<void> {
  internal.found(await isPresent().catch(() => false));
}

/** Both ends of a connection, on the loopback of this process. */
async function withConnection(
  signal: AbortSignal,
  use: (accepted: Socket, client: Socket, signal: AbortSignal) => Promise<boolean>,
): Promise<boolean> {
  const server = createServer().listen(0, '127.0.0.1');
  const sockets: Socket[] = [];
  try {
    await once(server, 'listening', { signal });
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => undefined); // the check fails by not getting what it waits for
    sockets.push(client);
    const [accepted] = (await once(server, 'connection', { signal })) as [Socket];
    accepted.on('error', () => undefined);
    sockets.push(accepted);
    return await use(accepted, client, signal);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

async function sharesReads(accepted: Socket, client: Socket, signal: AbortSignal): Promise<boolean> {
  const read = new Promise<boolean>((resolve) => {
    const isShared = shareReads(accepted, (bytes, length) => {
      resolve(bytes.toString('latin1', 0, length) === 'x');
      return true;
    });
    if (!isShared) resolve(false);
    signal.addEventListener('abort', () => resolve(false));
  });
  accepted.resume();
  client.write('x');
  return read;
}

async function updatesTimer(accepted: Socket, client: Socket, signal: AbortSignal): Promise<boolean> {
  let isUpdated = false;
  replaceTimer(accepted, () => {
    isUpdated = true;
  });
  client.write('x');
  await once(accepted, 'data', { signal });
  return isUpdated;
}

async function writesDirectly(accepted: Socket, client: Socket, signal: AbortSignal): Promise<boolean> {
  const bytes = Buffer.from('x');
  // Watched, as it goes by the stream; then past it.
  if (writeDirectly(accepted, bytes, () => undefined) === 'refused') accepted.write(bytes);
  await once(client, 'data', { signal });
  if (writeDirectly(accepted, bytes, () => undefined) !== 'written') return false;
  await once(client, 'data', { signal });
  return DIRECT_WRITES.isInUse;
}

/** Sets what is known of the parser's other properties as well. */
async function parses(accepted: Socket, client: Socket, signal: AbortSignal): Promise<boolean> {
  const server = createHttpServer();
  let isReported = false;
  let isRead = false;
  keepFromParser(accepted);
  server.emit('connection', accepted);
  accepted.prependListener('data', () => {
    isRead = true;
  });
  onMessageBegin(accepted, () => {
    isReported = true;
  });
  PARSER_ERRORS.found(canReportErrors(accepted));
  const requested = once(server, 'request', { signal });
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await requested;
  PARSER_BEGIN.found(isReported);
  PARSER_PAUSE.found((accepted as { readonly _paused?: unknown })._paused === false);
  return isRead;
}
