/**
 * The origin of `npm run bench:large`: each path is an object of one size. It answers after a pause that stands for the
 * round trip, and counts what it sends.
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { answerObject } from './answer.ts';

const [length, roundTripMs] = process.argv.slice(2).map(Number) as [number, number];

export interface Counted {
  readonly port: number;
  readonly requests: number;
  readonly bytes: number;
}

let requests = 0;
let sent = 0;

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  requests++;
  await wait(roundTripMs);
  answerObject(request, response, {
    length,
    onSent: (bytes) => {
      sent += bytes;
    },
  });
}

const server = createServer((request, response) => void answer(request, response));
const report = (): void => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ port, requests, bytes: sent } satisfies Counted);
};
process.on('message', () => {
  report();
  requests = 0;
  sent = 0;
});
server.listen(0, '127.0.0.1', report);
