/**
 * What an HTTP/2 connection may cost before it is closed: bounds against those
 * who make much work with few bytes.
 *
 * | attack | bounded by |
 * | --- | --- |
 * | rapid reset (CVE-2023-44487) | nghttp2: `streamResetBurst`, `streamResetRate` |
 * | CONTINUATION flood (CVE-2024-27316 and its like) | nghttp2: 8 frames after a HEADERS frame; `maxHeaderListPairs`; size of the section |
 * | too many streams | `max_streams` (SETTINGS_MAX_CONCURRENT_STREAMS), `maxSessionRejectedStreams` |
 * | PING and SETTINGS floods (CVE-2019-9512, 9515) | counted here: `Allowance`; acknowledgements that pile up, nghttp2 |
 * | PRIORITY, WINDOW_UPDATE, unknown frames (CVE-2019-9513) | counted here, as bytes that no request or body explains |
 * | empty DATA frames (CVE-2019-9518), invalid frames | Node: `maxSessionInvalidFrames` |
 * | windows of nothing, slow readers (CVE-2019-9511, 9517) | `limits.write_timeout`, `maxSessionMemory`, bodies at the reader's pace |
 * | many small windows or header tables | `maxSessionMemory`, `maxDeflateDynamicTableSize` |
 * @module
 */
import type { ServerOptions } from 'node:http2';
import type { LimitsConfig } from '../config/schema.ts';

/** Streams that one side may open and reset: so many at once, and then so many a second. */
const RESET_BURST = 500;
const RESETS_A_SECOND = 33;
/** Frames that make no sense, those of DATA without data among them. */
const MAX_INVALID_FRAMES = 200;
/** Streams beyond `max_streams`: more, and the connection is closed. */
const MAX_REJECTED_STREAMS = 200;
/** What nghttp2 may hold for one connection, in MB. */
const MAX_SESSION_MEGABYTES = 8;
/** Room for requests that are sent while others are read. */
const WINDOW_BYTES = 256 * 1024;
/** `:method`, `:path`, `:scheme`, `:authority`. */
const PSEUDO_FIELDS = 4;

export function http2Options(limits: LimitsConfig): ServerOptions {
  return {
    maxSessionMemory: MAX_SESSION_MEGABYTES,
    maxSessionInvalidFrames: MAX_INVALID_FRAMES,
    maxSessionRejectedStreams: MAX_REJECTED_STREAMS,
    maxHeaderListPairs: limits.max_headers + PSEUDO_FIELDS,
    maxOutstandingPings: 1,
    maxSettings: 16,
    streamResetBurst: RESET_BURST,
    streamResetRate: RESETS_A_SECOND,
    settings: {
      maxConcurrentStreams: limits.max_streams,
      maxHeaderListSize: limits.max_header,
      initialWindowSize: WINDOW_BYTES,
      enablePush: false,
      enableConnectProtocol: false,
    },
  } as ServerOptions;
}

/** PINGs and SETTINGS that a connection may send at once, and so many a second from then on. */
const CALLS_BURST = 100;
const CALLS_A_SECOND = 10;

/** Counts calls that are free to whoever makes them. */
export class Allowance {
  #left = CALLS_BURST;
  #at: number;

  /** @param now - Milliseconds of a clock that never goes back. */
  constructor(now: number) {
    this.#at = now;
  }

  /** @returns Whether the call is within what is allowed. */
  take(now: number): boolean {
    this.#left = Math.min(CALLS_BURST, this.#left + ((now - this.#at) / 1_000) * CALLS_A_SECOND);
    this.#at = now;
    this.#left -= 1;
    return this.#left >= 0;
  }
}

/** What a connection has been used for. */
export interface Traffic {
  /** On the wire, encrypted. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly streams: number;
  /** Of request bodies. */
  readonly bodyBytes: number;
}

const UNEXPLAINED_BYTES = 1024 * 1024;
const BYTES_A_STREAM = 40 * 1024;

/**
 * Bytes that come and bring neither requests nor bodies are overhead: window
 * updates, which grow with what is sent, and nothing much else.
 *
 * @returns Whether it is more than any use explains.
 */
export function isMostlyOverhead({ bytesRead, bytesWritten, streams, bodyBytes }: Traffic): boolean {
  return bytesRead > UNEXPLAINED_BYTES + streams * BYTES_A_STREAM + 2 * bodyBytes + bytesWritten / 8;
}
