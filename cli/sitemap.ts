/**
 * URLs of a sitemap (sitemaps.org/protocol.html), or of the sitemaps that an index names, fetched by the command. The
 * control node fetches nothing: it takes URLs of its sites only.
 *
 * Everything is bounded: bytes after decompression, sitemaps, and URLs. What a sitemap names is fetched only from the
 * host of the first one.
 * @module
 */

import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Failure } from './failure.ts';

/** "no larger than 50MB (52,428,800 bytes)" (sitemaps.org, "Sitemap file requirements"). */
export const MAX_SITEMAP_BYTES = 52_428_800;

/** Sitemaps of an index that are read. */
export const MAX_SITEMAPS = 1_000;

/** Longest URL of a sitemap: "must be less than 2,048 characters". */
const MAX_LOC = 2_048;

const TIMEOUT_MS = 60_000;
const MAX_REDIRECTS = 5;

/** Content of a sitemap. */
export interface Sitemap {
  /** True if it is an index: what it names are sitemaps. */
  readonly isIndex: boolean;
  readonly locations: readonly string[];
}

/** Fetches bytes, decompressed. @throws {Failure} */
export type FetchSitemap = (url: string) => Promise<string>;

/**
 * @param maxUrls - One more than this is returned at most, so that a caller sees that there are too many.
 * @throws {Failure} when one cannot be fetched, or is none.
 */
export async function sitemapUrls(url: string, maxUrls: number, fetchOne: FetchSitemap = fetched): Promise<string[]> {
  const first = parseSitemap(url, await fetchOne(url));
  if (!first.isIndex) return first.locations.slice(0, maxUrls + 1);
  if (first.locations.length > MAX_SITEMAPS) {
    throw new Failure(`${url} names ${first.locations.length} sitemaps; ${MAX_SITEMAPS} are read`);
  }
  const { host } = new URL(url);
  const urls: string[] = [];
  for (const location of first.locations) {
    const foreign = URL.parse(location)?.host !== host;
    if (foreign) throw new Failure(`${url} names ${location}, which is of another host: name it by itself`);
    const { isIndex, locations } = parseSitemap(location, await fetchOne(location));
    if (isIndex) throw new Failure(`${location} is an index in an index, which the protocol does not have`);
    for (const one of locations) {
      urls.push(one);
      if (urls.length > maxUrls) return urls;
    }
  }
  return urls;
}

const ROOT = /<(urlset|sitemapindex)[\s>]/;
const LOC = /<loc>([^<]*)<\/loc>/g;

/** @throws {Failure} unless it is a sitemap, or an index of sitemaps; one that is a list of URLs counts as well. */
export function parseSitemap(url: string, text: string): Sitemap {
  const root = ROOT.exec(text)?.[1];
  if (root === undefined) return { isIndex: false, locations: plainList(url, text) };
  // Without a parser of XML: entities that a document declares are not expanded, and nothing is fetched for it.
  const locations = [...text.replaceAll(/<loc>\s*<!\[CDATA\[([^<]*?)\]\]>\s*<\/loc>/g, '<loc>$1</loc>').matchAll(LOC)];
  return {
    isIndex: root === 'sitemapindex',
    locations: locations.map(([, location = '']) => unescaped(location.trim())),
  };
}

/** "You can provide a simple text file that contains one URL per line" (sitemaps.org, "Other Sitemap formats"). */
function plainList(url: string, text: string): string[] {
  const lines = text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (lines.length > 0 && lines.every((line) => line.length <= MAX_LOC && /^https?:\/\/\S+$/i.test(line))) return lines;
  throw new Failure(`${url} is no sitemap: it has neither <urlset> nor <sitemapindex>`);
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescaped(text: string): string {
  return text.replaceAll(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(\w{1,4}));/gi, (whole, decimal, hexadecimal, name) => {
    if (name !== undefined) return ENTITIES[String(name).toLowerCase()] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hexadecimal, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/** @throws {Failure} when there is no answer, another one than 200, or too much of it. */
async function fetched(url: string): Promise<string> {
  const { host } = new URL(url);
  let at = url;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const response = await answerOf(at);
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && location !== null) {
      await response.body?.cancel();
      const next = URL.parse(location, at);
      if (next?.host !== host) throw new Failure(`${at} leads to ${location}, which is of another host`);
      at = next.href;
      continue;
    }
    if (response.status !== 200 || response.body === null) throw new Failure(`${at} answered ${response.status}`);
    return textOf(at, response.body);
  }
  throw new Failure(`${url} redirects more than ${MAX_REDIRECTS} times`);
}

async function answerOf(url: string): Promise<Response> {
  try {
    return await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    const { cause, message } = error as Error;
    throw new Failure(`${url} does not answer: ${(cause as Error | undefined)?.message ?? message}`);
  }
}

async function textOf(url: string, body: NonNullable<Response['body']>): Promise<string> {
  try {
    const pieces = await bounded(url, body);
    const isCompressed = pieces[0] === 0x1f && pieces[1] === 0x8b; // RFC 1952, section 2.3.1
    return (isCompressed ? await bounded(url, Readable.from([pieces]).pipe(createGunzip())) : pieces).toString('utf8');
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(`${url} cannot be read: ${(error as Error).message}`);
  }
}

/** @throws {Failure} when there is more than a sitemap may have: it is not read further. */
async function bounded(url: string, pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > MAX_SITEMAP_BYTES)
      throw new Failure(`${url} is larger than a sitemap may be (${MAX_SITEMAP_BYTES} bytes)`);
    parts.push(piece);
  }
  return Buffer.concat(parts);
}
