/**
 * The origin of `npm run bench:exhaustion`, in a process of its own: nothing
 * that it answers may be stored. Answers to small requests take 20 ms, as an
 * application's do.
 * @module
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const LARGE = Buffer.alloc(3_000_000, 'large ');
const THINKING_MS = 20;

const server = createServer((request, response) => {
  response.setHeader('Cache-Control', 'private');
  if (request.url?.startsWith('/large')) {
    // What the system takes for a reader that does not read is more than one such page.
    response.setHeader('Content-Length', LARGE.length * 4);
    for (let i = 0; i < 4; i++) response.write(LARGE);
    response.end();
  } else request.resume().on('end', () => setTimeout(() => response.end('small'), THINKING_MS));
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});
process.on('disconnect', () => process.exit());
