/** Responses whose bodies say which key and version they belong to, in every byte. */
import { NO_RESPONSE_DIRECTIVES } from '../../../cache/policy/directives.ts';
import { EvictedError, type Store, type StoredBody, type StoreWriter } from '../../../cache/store/store.ts';
import type { StoredResponse } from '../../../cache/stored-response.ts';
import { epochMs } from '../../../lib/clock.ts';

export const keyOf = (number: number): string => `https://a.example/${number}`;

/** Bytes of a body, by key and version: 16 to 900, of every seventh key 20,000 to 60,000. */
function lengthOf(key: number, version: number): number {
  const mixed = key * 7_919 + version * 104_729;
  return key % 7 === 0 ? 20_000 + (mixed % 40_000) : 16 + (mixed % 885);
}

function bytesOf(key: number, version: number): Buffer {
  const bytes = Buffer.alloc(lengthOf(key, version), (key * 31 + version) & 0xff);
  bytes.writeInt32LE(key, 0);
  bytes.writeInt32LE(version, 4);
  return bytes;
}

/** @param bodyOf - Makes the body. */
export function responseOf(
  key: number,
  version: number,
  bodyOf: (bytes: Buffer) => StoredBody | undefined,
): StoredResponse | undefined {
  const bytes = bytesOf(key, version);
  const body = bodyOf(bytes);
  return body && { ...HEAD, headers: ['ETag', `"${key}-${version}"`], length: bytes.length, body };
}

/** Stores a version of a key. */
export function store(into: Store, key: number, version: number): void {
  let writer: StoreWriter | undefined;
  const response = responseOf(key, version, (bytes) => {
    writer = into.begin(bytes.length);
    return writer?.append(bytes, true) === undefined ? undefined : writer.commit(0);
  });
  if (response === undefined) into.delete(keyOf(key));
  else into.set(keyOf(key), [response]);
  writer?.abort();
}

/** @returns The version that is stored, if any. @throws {Error} if it is no whole response of the key. */
export function versionIn(from: Store, key: number): number | undefined {
  for (;;) {
    const [found] = from.get(keyOf(key));
    if (found === undefined) return undefined;
    try {
      return checked(key, found);
    } catch (error) {
      if (!(error instanceof EvictedError)) throw error; // another thread was faster: it is looked up again
    }
  }
}

/** @returns The version of a response. */
export function checked(key: number, { headers, length, body }: StoredResponse): number {
  const reader = body.open({ start: 0, end: length });
  const pieces: Buffer[] = [];
  for (let piece = reader.next(); piece !== null; piece = reader.next()) pieces.push(piece as Buffer);
  const bytes = Buffer.concat(pieces);
  reader.close();
  const version = bytes.readInt32LE(4);
  if (!bytes.equals(bytesOf(key, version))) throw new Error(`a body of key ${key} is torn`);
  if (headers[1] !== `"${key}-${version}"`) throw new Error(`key ${key} has the head of another response`);
  return version;
}

const HEAD: Omit<StoredResponse, 'headers' | 'length' | 'body'> = {
  status: 200,
  statusText: 'OK',
  trailers: [],
  vary: [],
  tags: [],
  stamp: { asOf: 0, epoch: 0, checkedAt: -1, verdict: 'current' },
  responseTime: epochMs(0),
  policy: {
    addressed: false,
    declared: false,
    explicitLifetimeMs: undefined,
    lifetimeMs: 0,
    initialAgeMs: 0,
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: 0,
    directives: NO_RESPONSE_DIRECTIVES,
  },
} as Omit<StoredResponse, 'headers' | 'length' | 'body'>;
