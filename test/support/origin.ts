/**
 * An origin that does what a test's script says and counts what it was asked
 * (after the server blocks of varnish's vtc files).
 * @module
 */
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';

export type Script = (request: IncomingMessage, response: ServerResponse) => void;

/** Origin that nothing listens on, now or during other tests: a port that was free a moment ago may be taken. */
export const UNREACHABLE = 'http://127.0.0.1:1';

export interface Origin {
  /** Scheme, host and port. */
  readonly url: string;
  /** Requests so far, in order. */
  readonly requests: readonly IncomingMessage[];
  /** Connections that were opened to it. */
  readonly connections: number;
  /** Does this from now on. */
  script: Script;
  /** @returns How often this path and query was asked for. */
  count(target: string): number;
  /** Resolves with the next request from now on. */
  next(): Promise<IncomingMessage>;
  /** Ends kept connections that carry no request. */
  closeIdle(): void;
  close(): Promise<void>;
}

/** @param isPatient - True to answer also those that have closed their side of the connection meanwhile. */
export async function startOrigin(script: Script, { isPatient = false } = {}): Promise<Origin> {
  const requests: IncomingMessage[] = [];
  const seen = new EventEmitter();
  let connections = 0;
  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 });
  if (isPatient) Object.assign(server, { httpAllowHalfOpen: true });
  const origin = {
    url: '',
    requests,
    get connections() {
      return connections;
    },
    script,
    count: (target: string) => requests.filter(({ url }) => url === target).length,
    next: async () => (await once(seen, 'request'))[0] as IncomingMessage,
    closeIdle: () => server.closeIdleConnections(),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    requests.push(request);
    request.on('error', () => undefined); // the other side may go away in the middle: that is what some tests do
    seen.emit('request', request);
    origin.script(request, response);
  };
  server.on('request', onRequest);
  server.on('checkContinue', onRequest);
  server.on('connection', () => {
    connections++;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return origin;
}

/** An origin, or a node, of which only the bytes matter. */
export interface TcpServer {
  readonly address: string;
  readonly url: string;
  readonly connections: number;
  close(): Promise<void>;
}

/**
 * @param onHead - Gets each request head once it is complete; the body, if any, is not waited for.
 * @param tls - Absent: without TLS.
 */
export async function startTcp(
  onHead: (socket: Socket, head: string) => void,
  onConnection: (socket: Socket) => void = () => undefined,
  tls?: TlsOptions,
): Promise<TcpServer> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const take = (socket: Socket): void => {
    connections++;
    socket.setNoDelay();
    sockets.add(socket);
    socket.on('error', () => undefined); // a broken connection is what these servers are for
    socket.once('close', () => sockets.delete(socket));
    onConnection(socket);
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      for (let end = text.indexOf('\r\n\r\n'); end !== -1; end = text.indexOf('\r\n\r\n')) {
        const head = text.slice(0, end);
        text = text.slice(end + 4);
        onHead(socket, head);
      }
    });
  };
  const server = tls === undefined ? createTcpServer(take) : createTlsServer(tls, take);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    address,
    url: `${tls === undefined ? 'http' : 'https'}://${address}`,
    get connections() {
      return connections;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers with this text and these fields. */
export function text(body: string, fields: Readonly<Record<string, string>> = {}): Script {
  return (_request, response) => {
    response.writeHead(200, { 'Content-Length': Buffer.byteLength(body), ...fields }).end(body);
  };
}
