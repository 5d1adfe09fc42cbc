/** Payloads that say which key and version they belong to, in every byte. */

/** Bytes of a payload: 16 to 900, by key and version. */
function lengthOf(key: number, version: number): number {
  return 16 + ((key * 7_919 + version * 104_729) % 885);
}

export function payloadOf(key: number, version: number): Buffer {
  const payload = Buffer.alloc(lengthOf(key, version), (key * 31 + version) & 0xff);
  payload.writeInt32LE(key, 0);
  payload.writeInt32LE(version, 4);
  return payload;
}

/** @returns The version. @throws {Error} if it is no whole payload of the key. */
export function versionOf(key: number, payload: Buffer): number {
  const version = payload.readInt32LE(4);
  if (!payload.equals(payloadOf(key, version))) throw new Error(`a payload of key ${key} is torn`);
  return version;
}
