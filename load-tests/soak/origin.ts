/** Origin of the soak, a process of its own: sends its port to its parent. @module */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bodyOf, etagOf, PAGES } from './content.ts';

const server = createServer({ keepAliveTimeout: 15_000 }, (request, response) => {
  const page = Number(/^\/page\/(\d+)/.exec(request.url ?? '')?.[1] ?? Number.NaN);
  request.on('error', () => undefined); // a visitor that leaves while it sends
  if (!(page < PAGES)) {
    request.resume();
    response.writeHead(404, { 'Cache-Control': 'max-age=2' }).end('no such page');
    return;
  }
  if (request.method === 'POST') {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    request.once('end', () => response.writeHead(200, { 'Cache-Control': 'no-store' }).end(String(bytes)));
    return;
  }
  request.resume();
  const headers = {
    'Cache-Control': `max-age=${1 + (page % 30)}, stale-while-revalidate=5`,
    'Cache-Tag': `tag-${page % 50}`,
    ETag: etagOf(page),
  };
  if (request.headers['if-none-match'] === etagOf(page)) response.writeHead(304, headers).end();
  else response.writeHead(200, { ...headers, 'Content-Length': bodyOf(page).length }).end(bodyOf(page));
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.once('disconnect', () => process.exit());
