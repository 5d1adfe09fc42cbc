/**
 * A browser as far as a cache is concerned: HTTP/2 over TLS, a jar of cookies,
 * forms. Redirects are not followed.
 * @module
 */
import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import { HOST, tiersOf } from './visitor.ts';

export interface BrowserOptions {
  /** Port of an edge's `listen_tls`. */
  readonly port: number;
  /** Address of loopback to come from. */
  readonly from?: string;
  /** Cookies to begin with, by name. */
  readonly cookies?: Readonly<Record<string, string>>;
  /** Called with the target of each GET. */
  readonly onGet?: (target: string) => void;
}

export interface Sending {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface Page {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** The body as UTF-8. */
  readonly text: string;
  /** Members of Cache-Status, origin's side first. */
  readonly tiers: readonly string[];
}

interface Cookie {
  readonly value: string;
  readonly path: string;
}

export class Browser {
  readonly #session: ClientHttp2Session;
  readonly #cookies = new Map<string, Cookie>();
  readonly #onGet: (target: string) => void;

  constructor({ port, from, cookies = {}, onGet = () => undefined }: BrowserOptions) {
    this.#onGet = onGet;
    this.#session = connect(`https://${HOST}`, {
      createConnection: () =>
        connectTls({
          host: '127.0.0.1',
          port,
          servername: HOST,
          rejectUnauthorized: false,
          ALPNProtocols: ['h2'],
          ...(from !== undefined && { localAddress: from }),
        }),
    });
    this.#session.on('error', () => undefined); // the request in flight tells
    for (const [name, value] of Object.entries(cookies)) this.#cookies.set(name, { value, path: '/' });
  }

  /** Names of the cookies in the jar. */
  get cookies(): readonly string[] {
    return [...this.#cookies.keys()];
  }

  /** @returns Value of a cookie in the jar. */
  cookie(name: string): string {
    return this.#cookies.get(name)?.value ?? '';
  }

  /** The Cookie field of a request for this path. */
  cookieField(path: string): string {
    return [...this.#cookies]
      .filter(([, cookie]) => path.startsWith(cookie.path))
      .map(([name, { value }]) => `${name}=${value}`)
      .join('; ');
  }

  /** Empties the jar. */
  forget(): void {
    this.#cookies.clear();
  }

  get(target: string, headers: Sending['headers'] = {}): Promise<Page> {
    return this.send('GET', target, { headers });
  }

  /** Sends a form. */
  post(target: string, fields: Readonly<Record<string, string>>, headers: Sending['headers'] = {}): Promise<Page> {
    return this.send('POST', target, {
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(fields).toString(),
    });
  }

  send(method: string, target: string, { headers = {}, body }: Sending = {}): Promise<Page> {
    if (method === 'GET') this.#onGet(target);
    const { promise, resolve, reject } = Promise.withResolvers<Page>();
    const cookie = this.cookieField(target.split('?', 1)[0] as string);
    const stream = this.#session.request(
      {
        ':method': method,
        ':path': target,
        ':authority': HOST,
        'accept-encoding': 'identity',
        ...(cookie !== '' && { cookie: cookie.split('; ') }), // in crumbs, as browsers do (RFC 9113, section 8.2.3)
        ...headers,
      },
      { endStream: body === undefined },
    );
    const chunks: Buffer[] = [];
    let fields: Record<string, string> = {};
    stream.on('response', (received) => {
      for (const line of received['set-cookie'] ?? []) this.#keep(line);
      fields = Object.fromEntries(Object.entries(received).map(([name, value]) => [name, String(value)]));
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('error', reject);
    stream.once('end', () => {
      const bytes = Buffer.concat(chunks);
      const status = Number(fields[':status']);
      resolve({ status, headers: fields, body: bytes, text: bytes.toString(), tiers: tiersOf(fields['cache-status']) });
    });
    if (body !== undefined) stream.end(body);
    return promise;
  }

  close(): void {
    this.#session.destroy();
  }

  #keep(line: string): void {
    const [pair = '', ...attributes] = line.split(/; */);
    const [name = '', value = ''] = splitOnce(pair);
    const of = new Map(attributes.map((text) => splitOnce(text)).map(([key = '', is = '']) => [key.toLowerCase(), is]));
    const isOver = of.get('max-age') === '0' || Date.parse(of.get('expires') ?? '') < Date.now();
    if (isOver) this.#cookies.delete(name);
    else this.#cookies.set(name, { value, path: of.get('path') ?? '/' });
  }
}

function splitOnce(text: string): [string, string] {
  const at = text.indexOf('=');
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
