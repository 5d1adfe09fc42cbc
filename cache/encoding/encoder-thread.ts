/**
 * The thread that encodes bodies. There is one at a time in a process, however many threads answer requests: whichever
 * has something to encode holds a lock for it (`locks` of node:worker_threads). It is started for a batch, and ends
 * when it has nothing to do.
 * @module
 */
import { locks, Worker } from 'node:worker_threads';
import type { Coding } from '../../http/fields/content-coding.ts';
import { monotonicNow, msSince } from '../../lib/clock.ts';

export interface EncodeOrder {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly coding: Coding;
  readonly isFast: boolean;
}

export interface EncodeResult {
  /** Absent: it would be no smaller. */
  readonly bytes: Uint8Array<ArrayBuffer> | undefined;
}

/** Encodes a body, whose memory it takes over. */
export type Encode = (order: EncodeOrder) => Promise<EncodeResult>;

const PROGRAM = new URL(import.meta.resolve('./program.ts'));

/** Its bodies lie outside of the heap. */
const MAX_HEAP_MB = 32;

/** Time after which the thread lets others have a turn. */
const TURN_MS = 2_000;

const LOCK = 'seawall encoder';

/**
 * Runs encodings until there is nothing to do, or the turn is over.
 *
 * @param next - Does one encoding with the function that it gets. @returns False if there was nothing to do.
 * @throws (rejects) if the thread has ended.
 */
export async function withEncoderThread(next: (encode: Encode) => Promise<boolean>): Promise<void> {
  await locks.request(LOCK, async () => {
    const worker = new Worker(PROGRAM, {
      name: 'encoder',
      execArgv: [], // nothing that the process was started with is for it
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    });
    worker.unref();
    worker.on('error', () => undefined); // an encoding that is under way fails by it, below
    try {
      const since = monotonicNow();
      while ((await next((order) => encodeIn(worker, order))) && msSince(since) < TURN_MS);
    } finally {
      await worker.terminate();
    }
  });
}

function encodeIn(worker: Worker, order: EncodeOrder): Promise<EncodeResult> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
    };
    const onMessage = (result: EncodeResult): void => {
      done();
      resolve(result);
    };
    const onError = (error: unknown): void => {
      done();
      reject(error);
    };
    const onExit = (): void => onError(new Error('the thread that encodes has ended'));
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    worker.postMessage(order, [order.bytes.buffer]);
  });
}
