/**
 * The origin of `npm run bench:memory`: `/SIZE/NAME` is an object of so many bytes. What is posted is read and counted.
 * @module
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerObject } from '../large/answer.ts';

const server = createServer((request, response) => {
  if (request.method !== 'POST') {
    answerObject(request, response, { length: Number(request.url?.split('/')[1]) });
    return;
  }
  let received = 0;
  request.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  request.on('end', () => response.end(String(received)));
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
