/** A thread with an engine of its own at a shared store, which asks and is answered upstream as a test says. */
import { parentPort, workerData } from 'node:worker_threads';
import type { SharedMemory } from '../../../cache/shared/layout.ts';
import { attach } from '../../../cache/shared/shared-memory.ts';
import { SharedThreadFills } from '../../../cache/shared/thread-fills.ts';
import type { FollowedFills } from '../../../cache/thread-fills.ts';
import { HttpError } from '../../../http/errors.ts';
import type { RawHeaders } from '../../../http/fields/headers.ts';
import type { ScriptedExchange } from '../../support/scripted-fetch.ts';
import { Bench, pattern } from '../engine/bench.ts';

export type ToAsking =
  | { readonly do: 'ask'; readonly id: number; readonly target: string; readonly headers: RawHeaders }
  | { readonly do: 'head'; readonly target: string; readonly status: number; readonly headers: RawHeaders }
  /** Bytes of `pattern(to)`. */
  | { readonly do: 'data'; readonly target: string; readonly from: number; readonly to: number }
  | { readonly do: 'end' | 'break'; readonly target: string }
  | { readonly do: 'pass'; readonly seconds: number }
  | { readonly do: 'invalidate'; readonly target: string };

export type FromAsking =
  | { readonly kind: 'ready' }
  | { readonly kind: 'upstream'; readonly target: string; readonly headers: RawHeaders }
  | { readonly kind: 'bytes'; readonly id: number; readonly bytes: number }
  | {
      readonly kind: 'answered';
      readonly id: number;
      readonly status: number;
      readonly length: number;
      readonly isRight: boolean;
      readonly hit: boolean;
      readonly collapsed: boolean;
    }
  | { readonly kind: 'failed'; readonly id: number; readonly code: string }
  /** Another thread follows a fill of this one. */
  | { readonly kind: 'followed' };

const { buffers, token } = workerData as { readonly buffers: SharedMemory; readonly token: number };
const store = attach(buffers, token);

/** Reports when another thread follows. */
class ReportingFills extends SharedThreadFills {
  override serve(fills: FollowedFills): void {
    super.serve({
      follow(place, position, follower) {
        const flow = fills.follow(place, position, follower);
        if (flow !== undefined) post({ kind: 'followed' });
        return flow;
      },
    });
  }
}

const bench = new Bench({ store, threads: new ReportingFills(store, token) });

function post(message: FromAsking): void {
  parentPort?.postMessage(message);
}

bench.upstream.onRequest = ({ request: { target, headers } }) => post({ kind: 'upstream', target, headers });

async function ask({ id, target, headers }: Extract<ToAsking, { do: 'ask' }>): Promise<void> {
  try {
    const { head, body, status } = await bench.ask(target, { headers }).answer;
    const pieces: Buffer[] = [];
    let bytes = 0;
    for (;;) {
      const piece = (await body?.next()) ?? null;
      if (piece === null) break;
      pieces.push(Buffer.from(piece));
      bytes += piece.length;
      post({ kind: 'bytes', id, bytes });
    }
    body?.close();
    const whole = Buffer.concat(pieces);
    const isRight = whole.equals(pattern(whole.length));
    const { hit, collapsed = false } = status;
    post({ kind: 'answered', id, status: head.status, length: whole.length, isRight, hit, collapsed });
  } catch (error) {
    post({ kind: 'failed', id, code: error instanceof HttpError ? error.code : String(error) });
  }
}

function upstreamOf(target: string): ScriptedExchange {
  const found = bench.upstream.exchanges.findLast(({ request }) => request.target === target);
  if (found === undefined) throw new Error(`${target} did not go upstream`);
  return found;
}

parentPort?.on('message', (message: ToAsking) => {
  switch (message.do) {
    case 'ask':
      void ask(message);
      break;
    case 'head':
      upstreamOf(message.target).head(message.status, message.headers);
      break;
    case 'data':
      upstreamOf(message.target).data(pattern(message.to).subarray(message.from));
      break;
    case 'end':
      upstreamOf(message.target).end();
      break;
    case 'break':
      upstreamOf(message.target).fail('origin_unreachable');
      break;
    case 'pass':
      bench.pass(message.seconds);
      break;
    case 'invalidate':
      bench.engine.invalidate(bench.keyOf(message.target), undefined);
      break;
  }
});
post({ kind: 'ready' });
