/**
 * One .mmdb file: checked when it is opened, so that a look-up can rely on it.
 *
 *     search tree | 16 zero bytes | records | "\xab\xcd\xefMaxMind.com" | metadata
 *
 * https://maxmind.github.io/MaxMind-DB/
 * @module
 */
import { type FileHandle, open } from 'node:fs/promises';
import { Reader, type Response } from 'maxmind';
import { formatIpv4, type ParsedAddress } from '../lib/address.ts';
import { TwoGenerationCache } from '../lib/two-generation-cache.ts';
import type { GeoLocation } from './location.ts';
import type { DatabaseInfo } from './locator.ts';
import { type Facts, factsOf } from './record.ts';
import { NOTHING, Tree } from './tree.ts';

/** Reasons for which a database file cannot be used. */
export const DATABASE_ERRORS = {
  database_missing: 'There is no such file, or no such npm package.',
  database_unreadable: 'The file cannot be read, or it is not a file.',
  database_too_large: 'The file is larger than 4 GiB.',
  database_compressed: 'The file is compressed.',
  database_truncated: 'The file is not whole, or it is broken.',
  database_wrong_type: 'The database has neither places nor networks in the known form.',
} as const;

export type DatabaseErrorCode = keyof typeof DATABASE_ERRORS;

export class DatabaseError extends Error {
  readonly code: DatabaseErrorCode;
  /** Steps that fix the problem. */
  readonly fix: string;

  constructor(code: DatabaseErrorCode, message: string, fix: string) {
    super(message);
    this.name = 'DatabaseError';
    this.code = code;
    this.fix = fix;
  }
}

/** Parsed record; the same object for the same record while it is cached. */
export interface Entry {
  /** `undefined`: nothing of a place. */
  readonly facts: Facts | undefined;
  /** Places that were made of it, by their prefix: for the caller that builds them. */
  readonly places: (GeoLocation | undefined)[];
}

export interface Database {
  readonly info: DatabaseInfo;
  /**
   * @param text - The same address, or what is to be read as one.
   * @returns What the file knows; `undefined` when that is nothing. `prefix` has the bits that it holds for.
   */
  find(address: ParsedAddress, text: string): Entry | undefined;
  /** Prefix length that the last `find` matched. */
  readonly prefix: number;
}

/** The largest that are sold are a third of this. */
const MAX_FILE_BYTES = 4 * 2 ** 30 - 1;
const READ_BYTES = 4 * 2 ** 20;

const MARKER = Buffer.from('abcdef4d61784d696e642e636f6d', 'hex');
/** The specification has the metadata within this many bytes from the end. */
const MAX_METADATA_BYTES = 128 * 1024;
const SEPARATOR_BYTES = 16;

/** Records that are kept as what they say; those of a country file are all among them. */
const MAX_REMEMBERED = 32_768;
/** Parts of records, such as the names of countries, that are kept decoded. */
const MAX_DECODED = 16_384;
/** Networks that are looked at when a file is opened. */
const CHECKED_NETWORKS = 500;

/**
 * Reads the file without blocking the event loop.
 *
 * @param name - For messages, and for who asks where an answer is from.
 * @throws {DatabaseError}
 */
export async function openDatabase(file: string, name: string): Promise<Database> {
  return databaseOf(await readWhole(file), name);
}

/** @throws {DatabaseError} when the bytes are not a database that tells of places. */
export function databaseOf(bytes: Buffer, name: string): Database {
  const reader = readerOf(bytes);
  const { metadata } = reader;
  const ipVersion = metadata.ipVersion === 4 ? 4 : 6;
  const tree = new Tree({ bytes, nodeCount: metadata.nodeCount, recordSize: metadata.recordSize, ipVersion });
  const entries = new TwoGenerationCache<number, Entry>({ generationWeight: MAX_REMEMBERED / 2 });
  const type = String(metadata.databaseType);
  const database: Database = {
    info: {
      name,
      type,
      ipVersion,
      builtAt: metadata.buildEpoch.getTime(),
      attribution: attributionOf(name, type),
    },
    find({ family, ipv4, embeddedAt, groups }, text) {
      const at = family === 4 || embeddedAt >= 0 ? tree.find4(ipv4) : tree.find6(groups);
      if (at === NOTHING) return undefined;
      const known = entries.get(at);
      if (known !== undefined) return known;
      const entry: Entry = { facts: factsAt(reader, text), places: [] };
      entries.set(at, entry);
      return entry;
    },
    get prefix() {
      return tree.prefix;
    },
  };
  checkContent(database, name, reader);
  return database;
}

function factsAt(reader: Reader<Response>, address: string): Facts | undefined {
  try {
    return factsOf(reader.get(address));
  } catch {
    return undefined; // A broken record: they are not all looked at when the file is opened.
  }
}

async function readWhole(file: string): Promise<Buffer> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file);
    const stats = await handle.stat();
    if (!stats.isFile()) {
      throw new DatabaseError('database_unreadable', `${file} is not a file`, 'Name the .mmdb file itself.');
    }
    if (stats.size > MAX_FILE_BYTES) {
      throw new DatabaseError(
        'database_too_large',
        `${file} has ${stats.size} bytes`,
        'Name an .mmdb file of less than 4 GiB.',
      );
    }
    const bytes = Buffer.allocUnsafeSlow(stats.size);
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await handle.read(bytes, length, Math.min(READ_BYTES, bytes.length - length), length);
      if (bytesRead === 0) break; // it has been cut off since
      length += bytesRead;
    }
    return bytes.subarray(0, length);
  } catch (error) {
    if (error instanceof DatabaseError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new DatabaseError(
        'database_missing',
        `there is no file ${file}`,
        'Put the .mmdb file there, or correct the path.',
      );
    }
    throw new DatabaseError(
      'database_unreadable',
      `${file} cannot be read (${(error as Error).message})`,
      'Make it readable.',
    );
  } finally {
    await handle?.close();
  }
}

function readerOf(bytes: Buffer): Reader<Response> {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    throw new DatabaseError('database_compressed', 'the file is compressed with gzip', 'Unpack it with gunzip.');
  }
  const markerAt = bytes.lastIndexOf(MARKER);
  if (markerAt < 0 || bytes.length - markerAt > MAX_METADATA_BYTES) {
    throw new DatabaseError(
      'database_truncated',
      'the file is not an .mmdb database, or its end is missing (it has no metadata)',
      'Download it again, and compare its size.',
    );
  }
  let reader: Reader<Response>;
  try {
    reader = new Reader(bytes, {
      cache: new TwoGenerationCache<string | number, unknown>({ generationWeight: MAX_DECODED / 2 }),
    });
  } catch (error) {
    throw broken(`its metadata cannot be read (${(error as Error).message})`);
  }
  const { searchTreeSize, binaryFormatMajorVersion: version, ipVersion, nodeCount } = reader.metadata;
  if (version !== 2 || (ipVersion !== 4 && ipVersion !== 6) || !(nodeCount > 0)) {
    throw broken(`its format is of version ${version}, for IP version ${ipVersion}, with ${nodeCount} nodes`);
  }
  const records = searchTreeSize + SEPARATOR_BYTES;
  if (records > markerAt || bytes.subarray(searchTreeSize, records).some((byte) => byte !== 0)) {
    throw broken(`its tree of ${searchTreeSize} bytes does not fit its ${bytes.length} bytes`);
  }
  return reader;
}

function broken(what: string): DatabaseError {
  return new DatabaseError(
    'database_truncated',
    `the file is broken: ${what}`,
    'Download it again, and compare its size.',
  );
}

/** Looks at networks from the lowest address up, until it is clear what they tell of. */
function checkContent({ info }: Database, name: string, reader: Reader<Response>): void {
  let found = 0;
  let address = info.ipVersion === 4 ? 1 << 24 : 0;
  for (let i = 0; i < CHECKED_NETWORKS && address < 2 ** 32; i += 1) {
    const [record, size] = check(reader, formatIpv4(address));
    if (record !== null) found += 1;
    if (factsOf(record) !== undefined) return;
    address += size;
  }
  if (info.ipVersion === 6) {
    // IPv6 addresses that are given out begin here; networks are at most 64 bits long.
    let upper = 0x2000_0000;
    for (let i = 0; i < CHECKED_NETWORKS && upper < 0x4000_0000; i += 1) {
      const [record, size] = check(reader, `${(upper >>> 16).toString(16)}:${(upper & 0xffff).toString(16)}::`);
      if (record !== null) found += 1;
      if (factsOf(record) !== undefined) return;
      upper += size;
    }
  }
  const message =
    found === 0
      ? `${name} knows no address`
      : `${name} is of type "${info.type}", whose records tell of no country, coordinates or network number`;
  throw new DatabaseError('database_wrong_type', message, 'Name a City, Country or ASN database.');
}

/** @returns The record, and how many addresses (or, of IPv6, how many /32) from there have the same one. */
function check(reader: Reader<Response>, address: string): [record: unknown, size: number] {
  try {
    const [record, prefix] = reader.getWithPrefixLength(address);
    return [record, Math.max(1, 2 ** (32 - prefix))];
  } catch (error) {
    throw broken(`the record of ${address} cannot be read (${(error as Error).message})`);
  }
}

/** Attribution texts that licences require, by the names of the files and of the packages that hold them. */
const ATTRIBUTIONS: readonly (readonly [name: RegExp, attribution: string])[] = [
  [/dbip/i, 'IP Geolocation by DB-IP (https://db-ip.com), CC BY 4.0'],
  [/geolite/i, 'This product includes GeoLite2 Data created by MaxMind, available from https://www.maxmind.com'],
  [/geo-whois-asn|nro/i, 'Statistics of the Number Resource Organization (https://www.nro.net), CC BY 4.0'],
];

function attributionOf(name: string, type: string): string | undefined {
  return ATTRIBUTIONS.find(([pattern]) => pattern.test(name) || pattern.test(type))?.[1];
}
