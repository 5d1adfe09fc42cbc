/**
 * Our own client says of a response what undici says of it: each answers
 * itself with the same bytes, and what comes out is compared.
 */
import tap, { test } from 'tap';
import { trimOws } from '../../http/headers.ts';
import { PlainClient } from '../../http/plain-client.ts';
import { plainHead } from '../../http/plain-request.ts';
import type { Receiver, UnderWay } from '../../http/transport.ts';
import { UndiciClient } from '../../http/undici-client.ts';
import { startTcp } from '../support/origin.ts';
import { type Shape, SOUND, UNSOUND } from './response-shapes.ts';

tap.setTimeout(60_000);

const MAX_HEAD_BYTES = 128 * 1024;
const TIMES = { connectTimeoutMs: 5_000, firstByteTimeoutMs: 1_000, idleTimeoutMs: 1_000 };
const HEADERS = ['Host', 'a.test', 'Accept', '*/*', 'X-Umlaut', '\xe4', 'x-empty', ''];

/** By the path of the request. */
const shapes: Shape[] = [];
const heads: string[] = [];

const origin = await startTcp((socket, head) => {
  const [, place, size] = /^[A-Z]+ \/(\d+)\/(\d+)/.exec(head) ?? [];
  const { bytes, ends } = shapes[Number(place)] as Shape;
  heads.push(head);
  const pieces = Number(size) === 0 ? [bytes] : inPieces(bytes, Number(size));
  socket.setNoDelay();
  const write = (at: number): void => {
    if (socket.destroyed) return;
    if (at < pieces.length) socket.write(pieces[at] as string, 'latin1', () => setImmediate(write, at + 1));
    else if (ends) socket.end();
  };
  write(0);
});

function inPieces(bytes: string, size: number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
  return pieces;
}

const port = Number(new URL(origin.url).port);
const plain = new PlainClient({
  ...TIMES,
  host: '127.0.0.1',
  port,
  keepAliveMs: 4_000,
  maxAgeMs: 60_000,
  maxHeadBytes: MAX_HEAD_BYTES,
});
const undici = new UndiciClient(origin.url, {
  headersTimeout: TIMES.firstByteTimeoutMs,
  bodyTimeout: TIMES.idleTimeoutMs,
  maxHeaderSize: MAX_HEAD_BYTES,
});

tap.teardown(async () => {
  plain.destroy();
  await undici.destroy();
  await origin.close();
});

interface Seen {
  readonly interim: unknown[];
  head?: unknown;
  body: string;
  trailers?: unknown;
  failed?: boolean;
}

function receive(send: (receiver: Receiver) => UnderWay): Promise<Seen> {
  return new Promise((resolve) => {
    const seen: Seen = { interim: [], body: '' };
    send({
      onInterim: (status, headers) => seen.interim.push([status, headers]),
      onHead: (...head) => {
        seen.head = head;
      },
      onBody: (piece) => {
        seen.body += piece.toString('latin1');
      },
      onEnd: (trailers) => {
        seen.trailers = trailers;
        resolve(seen);
      },
      onFailure: () => {
        seen.failed = true;
        resolve(seen);
      },
      onSwitch: () => resolve({ ...seen, head: 'switched' }),
    });
  });
}

function both(shape: Shape, size: number): Promise<[Seen, Seen]> {
  const target = `/${shapes.push(shape) - 1}/${size}`;
  const request = { method: shape.isHead ? 'HEAD' : 'GET', target, headers: HEADERS, body: undefined };
  const head = plainHead(request) as string;
  return Promise.all([
    receive((receiver) => plain.send(head, shape.isHead === true, receiver, true)),
    receive((receiver) => undici.send(request, receiver, true)),
  ]);
}

/**
 * undici keeps the last piece of a reason phrase that comes in several, reads it as UTF-8, and leaves whitespace at the
 * end of some values (RFC 9112, section 5.1, has it removed).
 */
function alike(seen: Seen): Seen {
  const [status, , headers] = (seen.head ?? []) as [number, string, string[]];
  return { ...seen, head: [status, headers?.map(trimOws)] };
}

/** Where undici takes what we do not, or the other way round, and why that is right. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'a coding that nobody asked for': 'undici leaves it to its user, who refuses it',
  'gzip, chunked': 'undici leaves it to its user, who refuses it',
  'chunked twice': 'undici leaves it to its user, who refuses it',
  'chunked in two fields': 'undici leaves it to its user, who refuses it',
};

for (const [rule, shape] of [...Object.entries(SOUND), ...Object.entries(UNSOUND)]) {
  const difference = DIFFERENT[rule];
  test(`${rule}: ${difference ?? 'the same'}`, async (t) => {
    for (const size of shape.bytes.length > 1_000 ? [0] : [0, 1, 7]) {
      const [own, other] = await both(shape, size);
      if (difference !== undefined) t.equal(own.failed, true);
      else if (own.failed) t.equal(other.failed, true);
      else t.strictSame(alike(own), alike(other), `in pieces of ${size}`);
    }
  });
}

test('a request says the same to the origin', async (t) => {
  heads.length = 0;
  await both(SOUND['with a length'] as Shape, 0);
  const [one, two] = heads.map((head) =>
    head
      .toLowerCase()
      .split('\r\n')
      .filter((line) => !line.startsWith('connection'))
      .sort(),
  );
  t.strictSame(one, two);
});
