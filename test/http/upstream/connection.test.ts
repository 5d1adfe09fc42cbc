/**
 * One strictness towards all origins: over TLS or not, with a body or without,
 * each response is read alike, and refused where the table says so. undici
 * reads along: where it differs, the table has the reason.
 */
import { Readable } from 'node:stream';
import tap, { test } from 'tap';
import { Client } from 'undici';
import { trimOws } from '../../../http/fields/headers.ts';
import { UpstreamClient } from '../../../http/upstream/client.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { startTcp, type TcpServer } from '../../support/origin.ts';
import { BARE_LF, type Shape, SOUND, UNSOUND } from './response-shapes.ts';

tap.setTimeout(120_000);

const HEADERS = ['Host', 'a.test', 'Accept', '*/*', 'X-Umlaut', '\xe4', 'x-empty', ''];

/** By the path of the request. */
const shapes: Shape[] = [];
const heads: string[] = [];
const { cert, key } = makeCertificate(tap.testdir(), 'origin', ['a.test']);

function startOrigin(tls?: { cert: string; key: string }): Promise<TcpServer> {
  return startTcp(
    (socket, head) => {
      // A body may stand before the head.
      const [, place, size] = / \/(\d+)\/(\d+) HTTP\/1\.1\r\n/.exec(head) ?? [];
      if (place === undefined) return;
      const { bytes, ends } = shapes[Number(place)] as Shape;
      heads.push(head);
      const pieces = Number(size) === 0 ? [bytes] : inPieces(bytes, Number(size));
      const write = (at: number): void => {
        if (socket.destroyed) return;
        if (at < pieces.length) socket.write(pieces[at] as string, 'latin1', () => setImmediate(write, at + 1));
        else if (ends) socket.end();
      };
      write(0);
    },
    undefined,
    tls,
  );
}

function inPieces(bytes: string, size: number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
  return pieces;
}

const origin = await startOrigin();
const secureOrigin = await startOrigin({ cert, key });

function clientOf({ url }: TcpServer, bareLf: boolean): UpstreamClient {
  return new UpstreamClient({
    url,
    connectTimeoutMs: 5_000,
    firstByteTimeoutMs: 1_000,
    idleTimeoutMs: 1_000,
    maxConnections: 8,
    maxWaiting: 100,
    busyCode: 'overloaded',
    bareLf,
    tls: { verify: true, ca: cert, serverName: undefined },
  });
}

const strict = { http: clientOf(origin, false), https: clientOf(secureOrigin, false) };
const lenient = { http: clientOf(origin, true), https: clientOf(secureOrigin, true) };

tap.teardown(async () => {
  for (const client of [strict.http, strict.https, lenient.http, lenient.https]) await client.destroy();
  await Promise.all([origin.close(), secureOrigin.close()]);
});

interface Seen {
  readonly interim: unknown[];
  head?: unknown;
  body: string;
  trailers?: unknown;
  /** Code of the error, and its cause. */
  failed?: string;
}

interface Sent {
  readonly method: string;
  readonly target: string;
  readonly body: 'none' | 'length' | 'chunks';
}

function read(client: UpstreamClient, { method, target, body }: Sent): Promise<Seen> {
  const headers = body === 'length' ? [...HEADERS, 'Content-Length', '2'] : HEADERS;
  return new Promise((resolve) => {
    const seen: Seen = { interim: [], body: '' };
    client.send(
      { method, target, headers, body: body === 'none' ? undefined : Readable.from([Buffer.from('hi')]) },
      {
        onInterim: (status, fields) => seen.interim.push([status, fields]),
        onHead: ({ status, statusText, headers: fields }) => {
          seen.head = [status, statusText, fields];
        },
        onData: (piece) => {
          seen.body += piece.toString('latin1');
        },
        onEnd: (trailers) => {
          seen.trailers = trailers;
          resolve(seen);
        },
        onError: (error) => {
          seen.failed = `${error.code} ${error.reason}`;
          resolve(seen);
        },
      },
    );
  });
}

/** Reads the response as undici does: status, fields and body, or `undefined` when it fails. */
async function readByUndici({ method, target }: Sent): Promise<unknown> {
  const client = new Client(origin.url, { headersTimeout: 1_000, bodyTimeout: 1_000, maxHeaderSize: 128 * 1024 });
  try {
    const { statusCode, body } = await client.request({ method: method as 'GET', path: target, headers: HEADERS });
    return [statusCode, Buffer.from(await body.arrayBuffer()).toString('latin1')];
  } catch {
    return undefined;
  } finally {
    await client.destroy();
  }
}

function targetOf(shape: Shape, size: number): string {
  return `/${shapes.push(shape) - 1}/${size}`;
}

/** The clients and bodies by which a response is read. */
async function readings(clients: typeof strict, shape: Shape): Promise<Seen[]> {
  const sizes = shape.bytes.length > 1_000 ? [0] : [0, 1, 7];
  const sent: Sent[] = sizes.map((size) => ({
    method: shape.isHead ? 'HEAD' : 'GET',
    target: targetOf(shape, size),
    body: 'none',
  }));
  // 204 and the like mean the same to POST; HEAD has no relative.
  if (!shape.isHead) {
    for (const body of ['none', 'length', 'chunks'] as const)
      sent.push({ method: 'POST', target: targetOf(shape, 0), body });
  }
  return Promise.all(sent.flatMap((one) => [read(clients.http, one), read(clients.https, one)]));
}

/** Responses that undici refuses, or reads otherwise, and the reason. */
const UNDICI_DIFFERS: Readonly<Record<string, string>> = {
  'with whitespace before colons': 'RFC 9112, section 5.1, has a proxy remove it',
  'with whitespace behind chunk sizes': 'RFC 9112, section 7.1.1, allows it before extensions; nginx takes it alone',
  'with whitespace before a chunk extension': 'RFC 9112, section 7.1.1, allows it',
  'with one Content-Length twice': 'RFC 9110, section 8.6, allows to take it',
  'with one Content-Length three times': 'RFC 9110, section 8.6, allows to take it',
  'with a list of one Content-Length': 'RFC 9110, section 8.6, allows to take it',
  'with 100 Continue before': 'RFC 9110, section 15.2, has clients take an unexpected 1xx',
  'with 100 Continue and Early Hints before': 'RFC 9110, section 15.2, has clients take an unexpected 1xx',
};

for (const [rule, shape] of Object.entries(SOUND)) {
  const difference = UNDICI_DIFFERS[rule];
  test(`${rule}: every client reads it alike${difference === undefined ? '' : `, except undici: ${difference}`}`, async (t) => {
    const [first, ...others] = await readings(strict, shape);
    t.equal(first?.failed, undefined);
    t.ok(first?.trailers);
    for (const other of others) t.strictSame(other, first);
    for (const other of await readings(lenient, shape)) t.strictSame(other, first);
    const [status] = first?.head as [number];
    const byUndici = await readByUndici({
      method: shape.isHead ? 'HEAD' : 'GET',
      target: targetOf(shape, 0),
      body: 'none',
    });
    if (difference === undefined) t.strictSame(byUndici, [status, first?.body]);
    else t.notMatch(byUndici, [status, first?.body]);
  });
}

for (const [rule, shape] of Object.entries(UNSOUND)) {
  test(`${rule}: every client refuses it`, async (t) => {
    for (const seen of [...(await readings(strict, shape)), ...(await readings(lenient, shape))]) {
      t.match(seen.failed, /^origin_(?:bad_response|timeout) (?!unknown|undefined)/);
      t.equal(seen.trailers, undefined);
    }
  });
}

for (const [rule, shape] of Object.entries(BARE_LF)) {
  test(`${rule}: the option counts for every client`, async (t) => {
    for (const seen of await readings(strict, shape)) t.match(seen.failed, /^origin_bad_response/);
    const [first, ...others] = await readings(lenient, shape);
    t.equal(first?.failed, undefined);
    for (const other of others) t.strictSame(other, first);
  });
}

test('100 Continue, which no request asks for, is not passed on', async (t) => {
  for (const seen of await readings(strict, SOUND['with 100 Continue and Early Hints before'] as Shape)) {
    t.strictSame(seen.interim, [[103, ['Link', '</a>']]]);
  }
});

test('a request over TLS has the same bytes, and those of undici', async (t) => {
  const shape = SOUND['with a length'] as Shape;
  heads.length = 0;
  const sent: Sent = { method: 'GET', target: targetOf(shape, 0), body: 'none' };
  await read(strict.http, sent);
  await read(strict.https, sent);
  await readByUndici(sent);
  const [one, two, three] = heads.map((head) =>
    head
      .toLowerCase()
      .split('\r\n')
      .map(trimOws)
      .filter((line) => !line.startsWith('connection'))
      .sort(),
  );
  t.strictSame(one, two);
  t.strictSame(one, three);
});
