/**
 * An origin whose every answer is for the one who asks: the body and a field
 * hold the number of the answer, and what the origin had been sent is kept
 * beside it. The request says with what kind of answer (`X-Ask`).
 * @module
 */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Response of an origin. */
export interface Shape {
  readonly name: string;
  readonly status: number;
  /** @param id - Number of the answer. */
  fields(id: number, now: number): readonly (readonly [name: string, value: string])[];
  /** `fitting`: the Content-Type of the path’s extension; else HTML. */
  readonly type: 'page' | 'fitting';
  /** `dead`: the connection ends without an answer; `broken`: in the middle of the body. */
  readonly manner: 'whole' | 'chunked' | 'broken' | 'dead';
}

/** An answer that the origin has given. */
export interface Made {
  readonly id: number;
  /** Number of the visitor’s request that it was asked because of. */
  readonly ask: number;
  readonly request: { readonly method: string; readonly target: string; readonly rawHeaders: readonly string[] };
  readonly status: number;
  readonly fields: ReadonlyMap<string, string>;
  readonly shape: Shape;
}

export interface IdentityOrigin {
  readonly url: string;
  /** Every answer; its number is its place. */
  readonly made: readonly Made[];
  close(): Promise<void>;
}

/** Numbers of fixed width between marks, so that every piece of a body that is long enough has one whole. */
export function bodyOf(id: number): string {
  return `<${String(id).padStart(7, '0')}>`.repeat(24);
}

/** @returns Numbers of the answers that a body has pieces of. */
export function idsIn(body: string): number[] {
  return [...new Set([...body.matchAll(/<(\d{7})>/g)].map(([, digits]) => Number(digits)))];
}

/** The field that holds the number of an answer, also where there is no body. */
export const MADE_FIELD = 'x-made';

/** The field of a request that holds its number. */
export const ASK_FIELD = 'X-Ask';

/** Request header sections from here on get 400, as with many servers. */
const MAX_HEADER_BYTES = 8_190;

const BAD_REQUEST: Shape = { name: '400 for its header', status: 400, fields: () => [], type: 'page', manner: 'whole' };

export interface OriginOptions {
  readonly now: () => number;
  /** Returns the response to the request with this number. */
  shapeFor(ask: number): Shape;
  /** Returns whether two requests are the same to the origin. */
  areSame(ask: number, other: number): boolean;
}

export async function startIdentityOrigin({ now, shapeFor, areSame }: OriginOptions): Promise<IdentityOrigin> {
  const made: Made[] = [];
  const record = (request: IncomingMessage, ask: number, shape: Shape, status: number): Made => {
    const id = made.length;
    const type = shape.type === 'fitting' ? fittingType(request.url ?? '') : 'text/html; charset=utf-8';
    // A 304 that said anything new about caching would change what is stored, for everybody.
    const own = shape.fields(id, now()).filter(([name]) => status !== 304 || name === 'last-modified');
    const fields = new Map<string, string>([
      ['date', new Date(now()).toUTCString()],
      ['content-type', type],
      [MADE_FIELD, String(id)],
      ...own,
    ]);
    const { method = '', url = '', rawHeaders } = request;
    const entry: Made = {
      id,
      ask,
      request: { method, target: url, rawHeaders },
      status,
      fields,
      shape,
    };
    made.push(entry);
    return entry;
  };

  const isUnchanged = (request: IncomingMessage, ask: number, shape: Shape): boolean => {
    if (shape.status !== 200) return false;
    const tag = /"n-(\d+)"/.exec(request.headers['if-none-match'] ?? '')?.[1];
    const named = tag === undefined ? undefined : made[Number(tag)];
    if (named !== undefined) return areSame(named.ask, ask);
    // As many sites do: the time of the template, whoever asks.
    return (
      request.headers['if-modified-since'] !== undefined &&
      shape.fields(0, now()).some(([name]) => name === 'last-modified')
    );
  };

  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    request.resume();
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    const ask = Number(request.headers[ASK_FIELD.toLowerCase()] ?? -1);
    const tooLong = request.rawHeaders.reduce((sum, text) => sum + text.length + 2, 0) > MAX_HEADER_BYTES;
    const shape = tooLong ? BAD_REQUEST : shapeFor(ask);
    if (shape.manner === 'dead') {
      request.socket.destroy();
      return;
    }
    response.sendDate = false;
    const unchanged = isUnchanged(request, ask, shape);
    const { id, fields } = record(request, ask, shape, unchanged ? 304 : shape.status);
    for (const [name, value] of fields) response.setHeader(name, value);
    if (unchanged) {
      response.removeHeader('content-type');
      response.writeHead(304).end();
      return;
    }
    const body = bodyOf(id);
    if (shape.manner !== 'chunked') response.setHeader('Content-Length', body.length);
    response.writeHead(shape.status);
    if (shape.manner === 'broken') response.write(body.slice(0, 54), () => response.destroy());
    else if (request.method === 'HEAD') response.end();
    else if (shape.manner === 'chunked') {
      response.write(body.slice(0, 9));
      response.end(body.slice(9));
    } else response.end(body);
  };

  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0, maxHeaderSize: 65_536 }, answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    made,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const TYPES: Readonly<Record<string, string>> = {
  css: 'text/css',
  js: 'text/javascript',
  mjs: 'text/javascript',
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  avif: 'image/avif',
  svg: 'image/svg+xml',
  ico: 'image/x-icon',
  woff: 'font/woff',
  woff2: 'font/woff2',
  mp4: 'video/mp4',
  webm: 'video/webm',
  mp3: 'audio/mpeg',
  pdf: 'application/pdf',
};

function fittingType(target: string): string {
  const extension = /\.(\w+)(?:[?;]|$)/.exec(target)?.[1]?.toLowerCase() ?? '';
  return TYPES[extension] ?? 'text/html; charset=utf-8';
}

const DAYS_10_MS = 10 * 24 * 3_600_000;

type Fields = Readonly<Record<string, string>>;

function shape(
  name: string,
  fields: Fields | ((id: number, now: number) => Fields) = {},
  more: Partial<Pick<Shape, 'status' | 'type' | 'manner'>> = {},
): Shape {
  const { status = 200, type = 'page', manner = 'whole' } = more;
  const made = typeof fields === 'function' ? fields : () => fields;
  return { name, status, type, manner, fields: (id, now) => Object.entries(made(id, now)) };
}

const lastModified = (_id: number, now: number): Fields => ({
  'last-modified': new Date(now - DAYS_10_MS).toUTCString(),
});
const tag = (id: number): Fields => ({ etag: `"n-${id}"` });

const MINUTE = { 'cache-control': 'max-age=60' };

/** Answers that a site may give with a page that is one visitor’s own. */
export const GOOD_SHAPES: readonly Shape[] = [
  shape('no caching fields'),
  shape('no caching fields, fitting type', {}, { type: 'fitting' }),
  shape('no caching fields, chunked', {}, { manner: 'chunked' }),
  shape('no caching fields, breaks off', {}, { manner: 'broken' }),
  shape('Last-Modified', lastModified),
  shape('ETag', tag),
  shape('Last-Modified and ETag', (id, now) => ({ ...lastModified(id, now), ...tag(id) })),
  shape('max-age', MINUTE),
  shape('max-age, fitting type', MINUTE, { type: 'fitting' }),
  shape('max-age and ETag', (id) => ({ ...MINUTE, ...tag(id) })),
  shape('max-age, chunked', MINUTE, { manner: 'chunked' }),
  shape('max-age=1 with windows', { 'cache-control': 'max-age=1, stale-while-revalidate=600, stale-if-error=86400' }),
  shape('max-age, must-revalidate', { 'cache-control': 'max-age=60, must-revalidate' }),
  shape('public, max-age', { 'cache-control': 'public, max-age=60' }),
  shape('public', { 'cache-control': 'public' }),
  shape('s-maxage', { 'cache-control': 's-maxage=60' }),
  shape('CDN-Cache-Control', { 'cdn-cache-control': 'max-age=60', 'cache-control': 'private' }),
  shape('Surrogate-Control', { 'surrogate-control': 'max-age=60', 'cache-control': 'no-store' }),
  shape('CDN-Cache-Control: private', { 'cdn-cache-control': 'private', 'cache-control': 'max-age=60' }),
  shape('Expires', (_id, now) => ({ expires: new Date(now + 60_000).toUTCString() })),
  shape('Expires in the past', { expires: '0' }),
  shape('private', { 'cache-control': 'private' }),
  shape('private, max-age', { 'cache-control': 'private, max-age=60' }),
  shape('no-store', { 'cache-control': 'no-store' }),
  shape('no-cache', { 'cache-control': 'no-cache' }),
  shape('no-cache and ETag', (id) => ({ 'cache-control': 'no-cache', ...tag(id) })),
  shape('max-age=0, must-revalidate and Last-Modified', (id, now) => ({
    ...lastModified(id, now),
    'cache-control': 'max-age=0, must-revalidate',
  })),
  shape('Set-Cookie', (id) => ({ 'set-cookie': `session=new-${id}; HttpOnly` })),
  shape('Set-Cookie and max-age', (id) => ({ ...MINUTE, 'set-cookie': `session=new-${id}; HttpOnly` })),
  shape('Set-Cookie and Last-Modified', (id, now) => ({
    ...lastModified(id, now),
    'set-cookie': `session=new-${id}; HttpOnly`,
  })),
  shape('Vary: Cookie and max-age', { ...MINUTE, vary: 'Cookie' }),
  shape('Vary: Authorization, X-User and max-age', { ...MINUTE, vary: 'Authorization, X-User' }),
  shape('Vary: * and max-age', { ...MINUTE, vary: '*' }),
  shape('Vary: Cookie', { vary: 'Cookie' }),
  shape('gzip and max-age, no Vary', { ...MINUTE, 'content-encoding': 'gzip' }),
  shape('br and public, no Vary', { 'cache-control': 'public, max-age=60', 'content-encoding': 'br' }),
  shape('gzip, no Vary', { 'content-encoding': 'gzip' }, { type: 'fitting' }),
  shape('206 without Range', { 'content-range': 'bytes 0-215/500' }, { status: 206 }),
  shape('206 without Range, max-age', { ...MINUTE, 'content-range': 'bytes 0-215/500' }, { status: 206 }),
  shape('203', {}, { status: 203 }),
];

const failure = (status: number, fields: Fields = {}, how = ''): Shape =>
  shape(`${status}${how}`, status >= 300 && status < 400 ? { location: '/elsewhere', ...fields } : fields, { status });

/** Responses of failing origins. */
export const BAD_SHAPES: readonly Shape[] = [
  ...[400, 401, 403, 404, 410, 429, 500, 502, 503, 301, 302, 303, 307, 308].flatMap((status) => [
    failure(status),
    failure(status, MINUTE, ', max-age'),
  ]),
  shape('404, Last-Modified', lastModified, { status: 404 }),
  shape('404, fitting type', {}, { status: 404, type: 'fitting' }),
  shape('403, fitting type', {}, { status: 403, type: 'fitting' }),
  shape('no answer', {}, { manner: 'dead' }),
];

export const SHAPES: readonly Shape[] = [...GOOD_SHAPES, ...BAD_SHAPES];

export function shapeNamed(name: string): Shape {
  const found = SHAPES.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no shape "${name}"`);
  return found;
}
