/**
 * Program of the thread that encodes (encoder-thread.ts): one body at a time, behind all other threads of the machine.
 * @module
 */
import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { encode } from './encode.ts';
import type { EncodeOrder, EncodeResult } from './encoder-thread.ts';

/** A tenth of the weight of a thread that answers requests. On Linux it is this thread's alone. */
const NICE = 10;

try {
  setPriority(0, NICE);
} catch {
  // not allowed here: then it shares the machine like any other thread
}

parentPort?.on('message', (order: EncodeOrder) => {
  const bytes = encode(order);
  const result: EncodeResult = { bytes };
  parentPort?.postMessage(result, bytes === undefined ? [] : [bytes.buffer]);
});
