/**
 * Stored responses as a fill leaves them: head read from bytes, body copied
 * out of what a socket read.
 * @module
 */
import { Ledger, NOTHING_KNOWN } from '../../cache/ledger.ts';
import { responsePolicy } from '../../cache/policy/response-policy.ts';
import type { Store } from '../../cache/store/store.ts';
import { type StoredResponse, storedHead } from '../../cache/stored-response.ts';
import { ruleSchema } from '../../config/schema.ts';
import { formatHttpDate } from '../../http/fields/date.ts';
import { epochMs } from '../../lib/clock.ts';

export const ledger: Ledger = new Ledger({ leaseMs: Number.POSITIVE_INFINITY });

const RULE = ruleSchema.parse({});
const HEURISTIC = { fraction: 0.1, maxMs: 86_400_000, maxErrorMs: 86_400_000 };
const READ = Buffer.alloc(64 * 1024, 'x');

/** @param bytes - Length of the body. */
export function storedResponse(store: Store, id: number, bytes: number, now: number): StoredResponse {
  const text = Buffer.from(
    `Content-Type\ntext/html; charset=utf-8\nContent-Length\n${bytes}\nCache-Control\nmax-age=36000\n` +
      `ETag\n"${id.toString(16).padStart(16, '0')}"\nLast-Modified\n${formatHttpDate(now - id * 1_000)}\n` +
      `Vary\nAccept-Encoding\nDate\n${formatHttpDate(now)}`,
  );
  const headers = splitBytes(text);
  const requestHeaders = ['Accept-Encoding', 'gzip, deflate, br, zstd'];
  const policy = responsePolicy({
    status: 200,
    headers,
    requestTime: epochMs(now),
    responseTime: epochMs(now),
    rule: RULE,
    targetedFields: [],
    heuristic: HEURISTIC,
  });
  const stamp = ledger.stampNow(NOTHING_KNOWN);
  const writer = store.begin(bytes);
  for (let at = 0; at < bytes; at += READ.length) writer?.append(READ.subarray(0, Math.min(READ.length, bytes - at)));
  const body = writer?.commit(0);
  if (body === undefined) throw new Error('the store has no room');
  const head = {
    status: 200,
    statusText: 'OK',
    headers,
    requestHeaders,
    policy,
    responseTime: epochMs(now),
    tags: [],
    stamp,
  };
  return { ...storedHead(head), trailers: [], length: bytes, body };
}

/** Every string on its own, as a parser makes them. */
function splitBytes(text: Buffer): string[] {
  const parts: string[] = [];
  let from = 0;
  for (let at = text.indexOf('\n'); from <= text.length; at = text.indexOf('\n', from)) {
    const end = at < 0 ? text.length : at;
    parts.push(text.toString('latin1', from, end));
    from = end + 1;
  }
  return parts;
}
