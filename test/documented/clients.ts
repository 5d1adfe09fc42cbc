/**
 * Connections of the visitors of a game: each visitor has its own, and keeps
 * them from one request to the next.
 * @module
 */
import { Agent as HttpAgent, type IncomingMessage, request as sendPlain } from 'node:http';
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2';
import { Agent as HttpsAgent, request as sendSecure } from 'node:https';
import { connect as connectTls } from 'node:tls';
import type { EdgeNode } from '../../edge/node.ts';
import type { Asked } from './oracle.ts';
import { ASK_FIELD } from './origin.ts';

export interface Got {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

/** Source address of visitors of sites that use locations: a trusted proxy. */
export const PROXY_ADDRESS = '127.0.0.9';

export class Clients {
  readonly #isBehindProxy: boolean;
  readonly #agents = new Map<string, HttpAgent | HttpsAgent>();
  readonly #sessions = new Map<string, ClientHttp2Session>();

  constructor(isBehindProxy: boolean) {
    this.#isBehindProxy = isBehindProxy;
  }

  /** Asks by HTTP/1.1; with TLS every second request by HTTP/2. */
  send(edge: EdgeNode, asked: Asked): Promise<Got> {
    const isSecure = asked.scheme === 'https';
    const address = isSecure ? edge.addresses.listen_tls : edge.addresses.listen;
    if (address === undefined) throw new Error('the edge has no listener for TLS');
    const port = Number(address.slice(address.lastIndexOf(':') + 1));
    const isHttp2 = isSecure && asked.ask % 2 === 1 && asked.target.startsWith('/');
    return isHttp2 ? this.#sendByHttp2(port, asked) : this.#sendByHttp1(port, asked);
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    for (const session of this.#sessions.values()) session.destroy();
  }

  #sendByHttp1(port: number, asked: Asked): Promise<Got> {
    const isSecure = asked.scheme === 'https';
    const options = { keepAlive: true, localAddress: this.#from(asked) };
    const name = `${asked.visitor} ${asked.scheme}`;
    const made = (): HttpAgent | HttpsAgent =>
      isSecure ? new HttpsAgent({ ...options, rejectUnauthorized: false }) : new HttpAgent(options);
    const agent = this.#agents.get(name) ?? made();
    this.#agents.set(name, agent);
    const { promise, resolve, reject } = Promise.withResolvers<Got>();
    const request = (isSecure ? sendSecure : sendPlain)({
      host: '127.0.0.1',
      port,
      ...(isSecure && { servername: serverName(asked) }),
      method: asked.method,
      path: asked.target,
      agent,
      maxHeaderSize: 262_144,
      headers: ['Host', asked.host, ...this.#fields(asked).flat()],
    });
    request.once('response', (response) => void read(response).then(resolve, reject));
    request.once('error', reject);
    request.end();
    return promise;
  }

  #sendByHttp2(port: number, asked: Asked): Promise<Got> {
    const name = `${asked.visitor} ${port} ${serverName(asked)}`;
    let session = this.#sessions.get(name);
    if (session === undefined || session.destroyed || session.closed) {
      const tls = { host: '127.0.0.1', port, servername: serverName(asked), localAddress: this.#from(asked) };
      session = connectHttp2(`https://127.0.0.1:${port}`, {
        createConnection: () => connectTls({ ...tls, rejectUnauthorized: false, ALPNProtocols: ['h2'] }),
      });
      session.on('error', () => undefined); // its streams tell
      this.#sessions.set(name, session);
    }
    const fields: Record<string, string> = {};
    for (const [field, value] of this.#fields(asked)) {
      const lower = field.toLowerCase();
      if (lower === 'connection') continue; // RFC 9113, section 8.2.2: no fields of a connection
      const before = fields[lower];
      fields[lower] = before === undefined ? value : `${before}${lower === 'cookie' ? '; ' : ', '}${value}`;
    }
    const { promise, resolve, reject } = Promise.withResolvers<Got>();
    const head = { ':method': asked.method, ':path': asked.target, ':authority': asked.host, ...fields };
    const stream = session.request(head, { endStream: true });
    const chunks: Buffer[] = [];
    let headers: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
    stream.on('response', (received) => {
      headers = received;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => undefined); // a body that breaks off is read as far as it came
    stream.once('close', () => {
      const status = headers[':status'] ?? 0;
      if (status === 0) reject(Object.assign(new Error('no answer'), { code: 'ECONNRESET' }));
      else resolve({ status, headers, body: Buffer.concat(chunks).toString('latin1') });
    });
    return promise;
  }

  #from({ address }: Asked): string {
    return this.#isBehindProxy ? PROXY_ADDRESS : address;
  }

  #fields({ fields, address, ask }: Asked): (readonly [string, string])[] {
    const forwarded: (readonly [string, string])[] = this.#isBehindProxy ? [['X-Forwarded-For', address]] : [];
    return [...fields, ...forwarded, [ASK_FIELD, String(ask)]];
  }
}

function serverName({ host }: Asked): string {
  return host.replace(/\.?(?::\d+)?$/, '').toLowerCase();
}

async function read(response: IncomingMessage): Promise<Got> {
  const chunks: Buffer[] = [];
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise<void>((resolve) => {
    response.once('error', () => undefined); // a body that breaks off is read as far as it came
    response.once('close', resolve);
  });
  const { statusCode: status = 0, headers } = response;
  return { status, headers, body: Buffer.concat(chunks).toString('latin1') };
}
