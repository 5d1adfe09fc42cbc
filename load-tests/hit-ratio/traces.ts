/**
 * Request traces: read from files, and made from a seed.
 * @module
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { seededRandom } from '../../test/support/random.ts';

/** Requests in order: the number of an object, and its bytes. */
export interface Trace {
  readonly name: string;
  readonly objects: Int32Array;
  readonly sizes: Int32Array;
  /** Bytes of all objects together. */
  readonly footprint: number;
}

/** Line of a trace that is not `time,key,size`. */
export class TraceError extends Error {}

/**
 * @param file - Lines `time,key,size`, plain or compressed by gzip; a first line of names is left out. A key that comes
 *   back with another size is another object.
 * @throws {TraceError} with the number of the line.
 */
export function readTrace(file: string): Trace {
  const bytes = readFileSync(file);
  const isCompressed = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const lines = (isCompressed ? gunzipSync(bytes) : bytes).toString('utf8').split('\n');
  const requests: (readonly [object: string, size: number])[] = [];
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const cells = line.trim().split(',');
    const size = Number(cells.at(-1));
    const isNumber = cells.length === 3 && Number.isSafeInteger(size) && size >= 0 && size < 2 ** 31;
    if (isNumber) requests.push([`${cells[1]} ${size}`, size]);
    else if (index > 0) throw new TraceError(`${file}:${index + 1}: not time,key,size: ${JSON.stringify(line)}`);
  }
  if (requests.length === 0) throw new TraceError(`${file}: no requests`);
  return traceOf(file.split('/').at(-1) as string, requests);
}

/** Traces that show one behaviour each. */
export function madeTraces(): Trace[] {
  return [zipf('zipf', 400_000, 40_000), crawled(), shifting()];
}

/** Popular objects of 1 to 64 KB by Zipf's law (exponent 0.9). */
function zipf(name: string, requests: number, objects: number): Trace {
  const random = seededRandom(1);
  const pick = zipfPicker(objects, random);
  return traceOf(
    name,
    Array.from({ length: requests }, () => withSize(pick())),
  );
}

/** Two of three requests are a crawler's that walks everything once. */
function crawled(): Trace {
  const random = seededRandom(2);
  const pick = zipfPicker(20_000, random);
  let page = 1_000_000;
  return traceOf(
    'crawled',
    Array.from({ length: 400_000 }, (_, at) => withSize(at % 3 === 0 ? pick() : page++)),
  );
}

/** Popularity changes four times. */
function shifting(): Trace {
  const random = seededRandom(3);
  const pick = zipfPicker(20_000, random);
  return traceOf(
    'shifting',
    Array.from({ length: 400_000 }, (_, at) => withSize(pick() + 10_000 * Math.floor(at / 80_000))),
  );
}

function withSize(object: number): readonly [string, number] {
  return [String(object), 1_000 * 2 ** (Math.imul(object + 1, 0x9e3779b1) >>> 29)];
}

function zipfPicker(objects: number, random: () => number): () => number {
  const bounds = new Float64Array(objects);
  let sum = 0;
  for (let i = 0; i < objects; i++) {
    sum += 1 / (i + 1) ** 0.9;
    bounds[i] = sum;
  }
  return () => {
    const sought = random() * sum;
    let [low, high] = [0, objects - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((bounds[middle] as number) < sought) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

function traceOf(name: string, requests: readonly (readonly [object: string, size: number])[]): Trace {
  const numbers = new Map<string, number>();
  const objects = new Int32Array(requests.length);
  const sizes = new Int32Array(requests.length);
  let footprint = 0;
  for (const [at, [object, size]] of requests.entries()) {
    let number = numbers.get(object);
    if (number === undefined) {
      number = numbers.size;
      numbers.set(object, number);
      footprint += size;
    }
    objects[at] = number;
    sizes[at] = size;
  }
  return { name, objects, sizes, footprint };
}
