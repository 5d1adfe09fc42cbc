/**
 * A stored response in a slab, read by any thread. It is written once and never changed; that it moves changes none of
 * its bytes.
 *
 * ```
 * integer  row of the index       integer  bytes of the record
 * integer  bytes of the key       integer  bytes of the payload
 * integer  serial of the record   integer  epoch of `asOf`
 * double   `asOf` (cache/ledger.ts)
 * key, payload, and what is missing to a multiple of 8 bytes
 * ```
 * @module
 */

/** Words of the header. */
export const [ROW, BYTES, KEY_LENGTH, PAYLOAD, RECORD_SERIAL, EPOCH, AS_OF] = [0, 1, 2, 3, 4, 5, 6] as const;

export const RECORD_HEADER = 32;

/** Journal position of a response: what purges are compared with. */
export interface AsOf {
  readonly asOf: number;
  readonly epoch: number;
}

/** Views of all slabs. */
export interface Data {
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly words: Int32Array;
  readonly doubles: Float64Array;
}

export function viewsOf(data: SharedArrayBuffer): Data {
  return {
    bytes: Buffer.from(data),
    view: new DataView(data),
    words: new Int32Array(data),
    doubles: new Float64Array(data),
  };
}
