/**
 * The demo's origin: a small website that shows what a CDN is for. It does
 * nothing to help: every page is made anew, one takes three seconds, one fails
 * on demand.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { monotonicNow, msSince } from '../../lib/clock.ts';
import { readFiles } from './files.ts';
import { echoOn, sendEvents } from './live.ts';
import { type PageName, readPages } from './pages.ts';
import { respond } from './respond.ts';

export interface DemoOriginOptions {
  /** An IPv4 address, or a name. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Delay of `/slow`; 3 s if absent. */
  readonly slowMs?: number;
  /** Called for every request once it is answered. */
  readonly onRequest?: (line: string) => void;
}

export interface DemoOrigin {
  readonly url: string;
  /** Number of requests so far, without those for `/stats`. */
  requests(): number;
  /** Stops at once, with whatever is under way. */
  close(): Promise<void>;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const SITE = join(import.meta.dirname, 'site');
const SLOW_MS = 3_000;
const NEVER_CACHED = { 'cache-control': 'private, no-store' };
/** Longer than a proxy keeps an idle connection, so that it is never the origin that closes one under a request. */
const KEEP_ALIVE_MS = 120_000;

/** @throws What `listen` fails with, such as `EADDRINUSE`. */
export async function startDemoOrigin(options: DemoOriginOptions): Promise<DemoOrigin> {
  const [files, renderPage] = await Promise.all([readFiles(SITE), readPages(join(SITE, 'pages'))]);
  const startedAt = new Date();
  const requestsByPath = new Map<string, number>();
  let requests = 0;
  let failing = false;

  const page =
    (name: PageName): Handler =>
    (request, response) =>
      respond(request, response, renderPage(name));

  const json = (request: IncomingMessage, response: ServerResponse, value: object, headers = {}): void => {
    const body = Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`);
    respond(request, response, { type: 'application/json', body, headers: { ...NEVER_CACHED, ...headers } });
  };

  const turn =
    (on: boolean): Handler =>
    (_request, response) => {
      failing = on;
      // No Location: it would make caches forget the page that is about to fail (RFC 9111, section 4.4).
      response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', ...NEVER_CACHED });
      response.end(on ? 'The origin now answers /fail with 503.\n' : 'The origin works again.\n');
    };

  const reads: Record<string, Handler> = {
    '/': page('home'),
    '/pictures': page('pictures'),
    '/film': page('film'),
    '/you': page('you'),
    '/live': page('live'),
    '/fail': (request, response) => respond(request, response, renderPage(failing ? 'failing' : 'fail')),
    '/slow': (request, response) => {
      const timer = setTimeout(() => respond(request, response, renderPage('slow')), options.slowMs ?? SLOW_MS);
      response.on('close', () => clearTimeout(timer));
    },
    '/events': sendEvents,
    '/api/me': (request, response) => {
      const known = /(?:^|;\s*)visitor=([0-9a-f]{12})(?:;|$)/.exec(request.headers.cookie ?? '')?.[1];
      const visitor = known ?? randomBytes(6).toString('hex');
      const headers = known ? {} : { 'set-cookie': `visitor=${visitor}; Path=/; HttpOnly; SameSite=Lax` };
      json(request, response, { visitor, seenBefore: known !== undefined, answeredAt: new Date() }, headers);
    },
    '/stats': (request, response) => {
      json(request, response, { requests, byPath: Object.fromEntries(requestsByPath), since: startedAt });
    },
  };

  const writes: Record<string, Handler> = { '/fail/on': turn(true), '/fail/off': turn(false) };

  const missing: Handler = (request, response) => respond(request, response, renderPage('missing'));

  const refuseMethod =
    (allow: string): Handler =>
    (_request, response) => {
      response.writeHead(405, { allow, 'content-length': 0 }).end();
    };

  function handlerOf(method: string, path: string): Handler {
    const file = files.get(path);
    const read = file ? (req: IncomingMessage, res: ServerResponse) => respond(req, res, file) : reads[path];
    if (method === 'GET' || method === 'HEAD') return read ?? (writes[path] ? refuseMethod('POST') : missing);
    if (method === 'POST' && writes[path]) return writes[path];
    return read ? refuseMethod('GET, HEAD') : missing;
  }

  function count(path: string): void {
    if (path === '/stats') return;
    requests++;
    // Addresses that visitors can invent share one line.
    const line = path in reads || path in writes || path === '/echo' || files.has(path) ? path : 'other';
    requestsByPath.set(line, (requestsByPath.get(line) ?? 0) + 1);
  }

  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    const path = pathOf(request);
    const startedAtMs = monotonicNow();
    count(path);
    response.on('close', () => {
      const tookMs = Math.round(msSince(startedAtMs));
      options.onRequest?.(`${request.method} ${request.url} ${response.statusCode} ${tookMs} ms`);
    });
    // An unexpected body must not keep the connection from its next request.
    request.resume();
    handlerOf(request.method ?? 'GET', path)(request, response);
  });
  const sockets = echoOn(server, '/echo', (request) => {
    count(pathOf(request));
    options.onRequest?.(`${request.method} ${request.url} upgrade`);
  });

  server.listen(options.port, options.host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://${options.host}:${port}`,
    requests: () => requests,
    async close() {
      for (const connection of sockets.clients) connection.terminate();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function pathOf(request: IncomingMessage): string {
  const target = request.url ?? '/';
  const end = target.indexOf('?');
  return end < 0 ? target : target.slice(0, end);
}
