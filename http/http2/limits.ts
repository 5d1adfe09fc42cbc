/**
 * Limits of an HTTP/2 connection, beyond which it is closed: bounds against clients that cause much work with few
 * bytes.
 *
 * | attack | bounded by |
 * | --- | --- |
 * | rapid reset (CVE-2023-44487) | `ALLOWED.resets` |
 * | CONTINUATION flood (CVE-2024-27316 and its like) | 8 frames after a HEADERS frame (header-blocks.ts) |
 * | large sections, few bytes that stand for many (HPACK bombs) | `max_header`, `max_headers`: nothing beyond is kept
 * (section.ts); `DECODED` |
 * | many requests in one write | slices of time (http/listener/turns.ts) |
 * | too many streams | `max_streams` (SETTINGS_MAX_CONCURRENT_STREAMS), `ALLOWED.refusals` |
 * | PING and SETTINGS floods (CVE-2019-9512, 9515) | `ALLOWED.calls` |
 * | resets provoked by bad frames (CVE-2019-9514, CVE-2025-8671) | `ALLOWED.refusals` |
 * | PRIORITY, WINDOW_UPDATE, unknown frames (CVE-2019-9513, 9511) | bytes that no request or body explains:
 * `isMostlyOverhead` |
 * | empty DATA frames (CVE-2019-9518) | `ALLOWED.empties` |
 * | unread bodies | windows: 256 KiB a stream, 1 MiB a connection |
 * | unread responses (CVE-2019-9517) | 256 KiB that wait: nothing more is read from the connection |
 * | windows of nothing, slow readers (CVE-2019-9511) | `limits.write_timeout`, bodies at the reader's pace |
 * @module
 */
import type { Pace } from '../../lib/token-bucket.ts';

export const ALLOWED = {
  /** PINGs and SETTINGS. */
  calls: { burst: 100, perSecond: 10 },
  /** Streams that the other side resets. */
  resets: { burst: 500, perSecond: 33 },
  /** Streams that are refused: too many, malformed, or long closed. */
  refusals: { burst: 200, perSecond: 10 },
  /** DATA without data. */
  empties: { burst: 200, perSecond: 10 },
} as const satisfies Readonly<Record<string, Pace>>;

/**
 * Bytes of header sections that were not sent: a table of 4 KB, named by a byte each, stands for sections of 32 KB. Who
 * decodes more waits. Browsers repeat their sections, which costs nothing (`unpaidBytes`); those of one page, of which
 * each is another one, decode to half a MiB.
 */
export const DECODED: Pace = { burst: 1024 * 1024, perSecond: 4 * 1024 * 1024 };

/** Frames after which the clock is looked at. */
export const FRAMES_A_LOOK = 8;

/** Decoded bytes of a section, or of a path under a known one, that cost nothing beyond the bytes sent. */
const FREE_SECTION_BYTES = 512;

/** A section as it was read. */
export interface Decoded {
  /** True if the request was answered from a memoised section. */
  readonly isRemembered: boolean;
  readonly path: string;
  readonly bytes: number;
}

/** @returns Bytes that were decoded, and paid for by none that were sent. */
export function unpaidBytes(section: Decoded, isPathKnown: boolean, wireBytes: number, mostBytes: number): number {
  const { isRemembered, path, bytes } = section;
  const decoded = isRemembered ? (isPathKnown ? 0 : path.length) : Math.min(bytes, mostBytes);
  return Math.max(0, decoded - wireBytes - FREE_SECTION_BYTES);
}

/** Use of a connection so far. */
export interface Traffic {
  /** On the wire, encrypted. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly requests: number;
  /** Bytes of request bodies. */
  readonly bodyBytes: number;
}

const UNEXPLAINED_BYTES = 1024 * 1024;
const BYTES_A_REQUEST = 40 * 1024;

/**
 * Bytes that come and bring neither requests nor bodies are overhead: window
 * updates, which grow with what is sent, and nothing much else.
 *
 * @returns Whether it is more than any use explains.
 */
export function isMostlyOverhead({ bytesRead, bytesWritten, requests, bodyBytes }: Traffic): boolean {
  return bytesRead > UNEXPLAINED_BYTES + requests * BYTES_A_REQUEST + 2 * bodyBytes + bytesWritten / 8;
}
