/**
 * SETTINGS of the two sides of a connection (RFC 9113, section 6.5.2).
 * @module
 */
import type { LimitsConfig } from '../../config/schema.ts';
import { ConnectionError, ERROR } from './errors.ts';
import { MAX_FRAME_BYTES, MAX_WINDOW, readUint32, SETTING } from './frames.ts';

/** Bytes of a request's body that may come before any is read. */
export const STREAM_WINDOW_BYTES = 256 * 1024;

/** The same for all bodies of a connection. */
export const CONNECTION_WINDOW_BYTES = 1024 * 1024;

/** Default table size. */
const TABLE_BYTES = 4_096;

const SETTING_BYTES = 6;

export function ownSettings({ max_streams, max_header }: LimitsConfig): [id: number, value: number][] {
  return [
    [SETTING.maxConcurrentStreams, max_streams],
    [SETTING.initialWindowSize, STREAM_WINDOW_BYTES],
    [SETTING.maxHeaderListSize, max_header],
  ];
}

export interface PeerSettings {
  /** Bytes that it takes on a stream that begins. */
  readonly initialWindow?: number;
  /** True if the table size is lower than before, or was in between. */
  readonly hasLessTable?: boolean;
}

/** @throws {ConnectionError} for a value that cannot be. */
export function readSettings(bytes: Uint8Array, start: number, end: number): PeerSettings {
  if ((end - start) % SETTING_BYTES !== 0) throw new ConnectionError(ERROR.frameSize, 'SETTINGS of no whole number');
  let settings: PeerSettings = {};
  for (let at = start; at < end; at += SETTING_BYTES) {
    const id = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
    const value = readUint32(bytes, at + 2);
    if (id === SETTING.initialWindowSize) {
      if (value > MAX_WINDOW) throw new ConnectionError(ERROR.flowControl, 'an initial window beyond the largest');
      settings = { ...settings, initialWindow: value };
    } else if (id === SETTING.headerTableSize) {
      // Also where it grows again at once (RFC 7541, section 4.2: the smallest of them is what has to be told).
      settings = { ...settings, hasLessTable: settings.hasLessTable === true || value < TABLE_BYTES };
    } else if (id === SETTING.enablePush) {
      if (value > 1) throw new ConnectionError(ERROR.protocol, 'ENABLE_PUSH is 0 or 1');
    } else if (id === SETTING.maxFrameSize && (value < MAX_FRAME_BYTES || value > 2 ** 24 - 1)) {
      throw new ConnectionError(ERROR.protocol, 'a MAX_FRAME_SIZE that cannot be');
    }
  }
  return settings;
}
