/**
 * Shapes of requests: how each is written, and what it decodes to.
 * @module
 */
import { type Field, indexed, indexing, literal } from '../../test/support/hpack.ts';

/** Plain request that a shape's cost is compared with. */
export type Like =
  /** Answered from memory, by what is remembered of its header section. */
  | 'hit'
  /** Answered from memory or by a refusal of one page, after everything in it was read. */
  | 'read'
  /** Fetched from the origin. */
  | 'miss'
  /** Passed on to the origin, with a body or by another method. */
  | 'pass';

export interface Shape {
  readonly name: string;
  readonly title: string;
  readonly protocol: 'HTTP/1.1' | 'HTTP/2';
  readonly like: Like;
  /** Connections that do the same. */
  readonly connections: number;
  /** Requests that a connection has under way. */
  readonly atOnce: number;
  /** The bytes of a head as a server sees it, in HTTP/1.1, with what follows it. */
  readonly decodedBytes: number;
  /** True if requests are sent byte by byte, each byte counted as a request. */
  readonly isDripped: boolean;
  /** @param index - Of the request on its connection. @param id - Of the stream, in HTTP/2. */
  readonly bytes: (index: number, id: number) => Buffer;
}

type Changes = Partial<Pick<Shape, 'like' | 'connections' | 'atOnce' | 'decodedBytes' | 'isDripped'>>;

export const HOST = 'site.test';

/** Fields that a browser sends, in both protocols. */
export const BROWSER: readonly Field[] = [
  [
    'user-agent',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
  ],
  ['accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'],
  ['accept-encoding', 'gzip, deflate, br, zstd'],
  ['accept-language', 'en-GB,en;q=0.9'],
  ['sec-fetch-mode', 'navigate'],
];

const DEFAULTS = { like: 'hit', connections: 4, atOnce: 32, isDripped: false } as const;

/** A request of HTTP/1.1 as it stands on the wire. */
export function head(target: string, fields: readonly Field[] = [], method = 'GET', host = HOST): string {
  const lines = [['Host', host] as const, ...fields].map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

/** @param texts - The connection sends them in turn. */
export function http1(
  name: string,
  title: string,
  texts: string | ((index: number) => string),
  changes: Changes = {},
): Shape {
  const of = typeof texts === 'string' ? () => texts : texts;
  const same = typeof texts === 'string' ? Buffer.from(texts, 'latin1') : undefined;
  return {
    ...{ name: `1-${name}`, title, protocol: 'HTTP/1.1' as const, ...DEFAULTS },
    decodedBytes: of(0).length,
    bytes: (index) => same ?? Buffer.from(of(index), 'latin1'),
    ...changes,
  };
}

/** Compressed fields of the requests of one connection: entries to index first, and references in each. */
export interface Indexed {
  readonly table?: readonly Field[];
  /** Places in the table, for each request in turn. */
  readonly named?: readonly (readonly number[])[];
  /** Fields beside those, written out. */
  readonly written?: (index: number) => readonly Field[];
  readonly method?: string;
  readonly path?: string;
  /** Frames after the head: bodies, trailers. */
  readonly after?: (id: number) => Buffer;
}

const HEADERS = 1;
const CONTINUATION = 9;
const END_STREAM = 1;
const END_HEADERS = 4;
const MAX_FRAME_BYTES = 16_384;

export function http2(name: string, title: string, request: Indexed, changes: Changes = {}): Shape {
  const { table = [], named = [[]], written, method = 'GET', path = '/plain', after } = request;
  const pseudo: Field[] = [
    [':method', method],
    [':scheme', 'https'],
  ];
  // `:authority` and, where it is not one of the table, `:path` as well.
  const hasPath = table.some(([key]) => key === ':path') || (written?.(0) ?? []).some(([key]) => key === ':path');
  pseudo.push([':authority', HOST]);
  if (!hasPath) pseudo.push([':path', path]);
  const fields = [...pseudo, ...table];
  const all = pseudo.map((_, place) => place);
  const places = named.map((own) => [...all, ...own.map((place) => place + pseudo.length)]);
  const decoded = (places[0] ?? []).map((place) => fields[place] as Field).concat(written?.(0) ?? []);
  const end = after === undefined ? END_STREAM : 0;
  const blocks = places.map((own) => indexed(fields.length, own));
  const bytes = (index: number, id: number): Buffer => {
    // The first request of a connection puts all there is into the table, those before the others.
    const known = blocks[index % blocks.length] as Buffer;
    const own = written?.(index) ?? [];
    const block = Buffer.concat([index === 0 ? Buffer.concat([indexing(fields)]) : known, literal(own)]);
    const frames = framed(block, id, end);
    return after === undefined ? frames : Buffer.concat([frames, after(id)]);
  };
  return {
    ...{ name: `2-${name}`, title, protocol: 'HTTP/2' as const, ...DEFAULTS },
    decodedBytes: decoded.reduce((sum, [key, value]) => sum + key.length + value.length + 4, after?.(1).length ?? 0),
    bytes,
    ...changes,
  };
}

/** A header block in as many frames as it needs. */
export function framed(block: Buffer, id: number, end: number): Buffer {
  const parts: Buffer[] = [];
  for (let from = 0; from === 0 || from < block.length; from += MAX_FRAME_BYTES) {
    const part = block.subarray(from, from + MAX_FRAME_BYTES);
    const isLast = from + part.length === block.length;
    parts.push(
      frame(from === 0 ? HEADERS : CONTINUATION, (from === 0 ? end : 0) | (isLast ? END_HEADERS : 0), id, part),
    );
  }
  return Buffer.concat(parts);
}

export function frame(type: number, flags: number, id: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(id, 5);
  payload.copy(bytes, 9);
  return bytes;
}
