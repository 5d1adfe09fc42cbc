/**
 * The origin of the disk benchmark, a process of its own: `node origin.ts BYTES`. Says its port, and how many requests
 * it has answered when it is asked.
 * @module
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Objects } from './objects.ts';

const objects = new Objects(Number(process.argv[2]));
let requests = 0;

const server = createServer({ keepAliveTimeout: 120_000 }, ({ url = '/0' }, response) => {
  requests++;
  const index = Number(url.slice(1));
  const headers = { 'Cache-Control': 'max-age=604800', 'Content-Length': objects.bytes, ETag: `"${index}"` };
  response.writeHead(200, headers).end(objects.body(index));
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('message', () => process.send?.(requests));
process.once('disconnect', () => process.exit(0));
