/**
 * An upstream with one large object, as a test has it at the moment: it answers ranges and preconditions (RFC 9110,
 * sections 13 and 14), and counts the bytes that it sends. Each version's bytes tell its number and their position.
 * @module
 */
import { fieldValue } from '../../../http/fields/headers.ts';
import { parseRange, resolveRanges } from '../../../http/fields/range.ts';
import type { ScriptedExchange, ScriptedUpstream } from '../../support/scripted-fetch.ts';

export interface LargeOriginOptions {
  readonly length: number;
  readonly version?: number;
  readonly control?: string;
  /** Entity tag of a version. */
  readonly tag?: (version: number) => string;
  readonly acceptRanges?: string | undefined;
  /** False to answer ranges with the whole. */
  readonly hasRanges?: boolean;
  /** False to ignore If-Match. */
  readonly hasPreconditions?: boolean;
  readonly extra?: readonly string[];
  /** Bytes that are handed over at a time. */
  readonly pieceBytes?: number;
}

const CYCLE = 251;
const BLOCK_BYTES = 65_536;
const CYCLES: Buffer = Buffer.from(Uint8Array.from({ length: BLOCK_BYTES + CYCLE }, (_, i) => i % CYCLE));

/** @returns Bytes of a version in [start, end). */
export function bytesOf(version: number, start: number, end: number): Buffer {
  const bytes = Buffer.allocUnsafe(end - start);
  for (let at = start; at < end; ) {
    const block = Math.floor(at / BLOCK_BYTES);
    const next = Math.min((block + 1) * BLOCK_BYTES, end);
    const first = (at + block * 7 + version * 37) % CYCLE; // each block begins elsewhere in the cycle
    CYCLES.copy(bytes, at - start, first, first + next - at);
    at = next;
  }
  return bytes;
}

export class LargeOrigin {
  options: Required<LargeOriginOptions>;
  /** Bytes of bodies that were handed over. */
  get sent(): number {
    return this.#upstream.exchanges.reduce((sum, { delivered }) => sum + delivered, 0);
  }
  readonly #upstream: ScriptedUpstream;

  constructor(upstream: ScriptedUpstream, options: LargeOriginOptions) {
    this.#upstream = upstream;
    this.options = {
      version: 1,
      control: 'max-age=60',
      tag: (version) => `"v${version}"`,
      acceptRanges: 'bytes',
      hasRanges: true,
      hasPreconditions: true,
      extra: [],
      pieceBytes: 64 * 1024,
      ...options,
    };
    upstream.onRequest = (exchange) => queueMicrotask(() => this.answer(exchange));
  }

  set(changes: Partial<LargeOriginOptions>): void {
    this.options = { ...this.options, ...changes } as Required<LargeOriginOptions>;
  }

  answer(exchange: ScriptedExchange): void {
    const { length, version, control, tag, acceptRanges, hasRanges, hasPreconditions, extra } = this.options;
    const { method, headers } = exchange.request;
    const etag = tag(version);
    const fields = ['ETag', etag, 'Cache-Control', control, ...extra];
    if (acceptRanges !== undefined) fields.push('Accept-Ranges', acceptRanges);
    const ifMatch = fieldValue(headers, 'if-match');
    if (hasPreconditions && ifMatch !== undefined && ifMatch !== etag) {
      exchange.respond(412, ['Content-Length', '0']);
      return;
    }
    if (fieldValue(headers, 'if-none-match') === etag) {
      exchange.respond(304, fields);
      return;
    }
    const ifRange = fieldValue(headers, 'if-range');
    const specs = hasRanges && method === 'GET' ? parseRange(fieldValue(headers, 'range')) : undefined;
    const ranges =
      specs === undefined || (ifRange !== undefined && ifRange !== etag) ? undefined : resolveRanges(specs, length);
    if (ranges === 'unsatisfiable') {
      exchange.respond(416, ['Content-Range', `bytes */${length}`]);
      return;
    }
    const [range] = Array.isArray(ranges) ? ranges : [];
    const { start, end } = range ?? { start: 0, end: length };
    fields.push('Content-Length', String(end - start));
    if (range !== undefined) fields.push('Content-Range', `bytes ${start}-${end - 1}/${length}`);
    exchange.head(range === undefined ? 200 : 206, fields);
    if (method !== 'HEAD') this.#send(exchange, { version, start, end });
  }

  /** Hands pieces over for as long as they are taken, one a turn of the microtasks. */
  #send(exchange: ScriptedExchange, { version, start, end }: { version: number; start: number; end: number }): void {
    const step = (at: number): void => {
      if (!exchange.isOpen) return;
      if (at >= end) {
        exchange.end();
        return;
      }
      if (exchange.isPaused || exchange.queuedBytes > 0) {
        setImmediate(step, at);
        return;
      }
      const next = Math.min(at + this.options.pieceBytes, end);
      exchange.data(bytesOf(version, at, next));
      setImmediate(step, next);
    };
    step(start);
  }
}
