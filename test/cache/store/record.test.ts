import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { test } from 'tap';
import { MemoryStore } from '../../../cache/store/memory-store.ts';
import type { StoreWriter } from '../../../cache/store/store.ts';
import type { StoredResponse } from '../../../cache/stored-response.ts';
import { epochMs } from '../../../lib/clock.ts';
import { pattern, readFrom } from './contract.ts';

/** As `fc.record`, with plain objects. */
const record: typeof fc.record = (model: object) => fc.record(model, { noNullPrototype: true }) as never;

const text = fc.oneof(
  fc.string({ unit: 'binary-ascii', maxLength: 40 }),
  fc.string({ unit: fc.integer({ min: 0x80, max: 0xff }).map((code) => String.fromCharCode(code)), maxLength: 20 }),
  fc.constantFrom('', 'Content-Type', 'text/html', 'Vary', 'x'.repeat(0x7ffe), 'y'.repeat(0x7fff), 'z'.repeat(70_000)),
);
const wide = fc.constantFrom('żółw', '水', '🌊');
const fields = fc.array(fc.tuple(text, text), { maxLength: 8 }).map((pairs) => pairs.flat());
const time = fc.oneof(fc.integer({ min: 0, max: 2 ** 48 }), fc.constantFrom(0, 0.5, Number.POSITIVE_INFINITY, -1));
const seconds = fc.option(fc.integer({ min: 0, max: 2 ** 31 }), { nil: undefined });
const names = fc.array(fc.constantFrom('set-cookie', 'x-a', 'x-b'), { maxLength: 3 });

const variant = record({
  status: fc.integer({ min: 200, max: 599 }),
  statusText: text,
  headers: fields,
  trailers: fields,
  vary: fc.array(record({ name: text, value: fc.option(text, { nil: undefined }) }), { maxLength: 4 }),
  tags: fc.array(fc.oneof(text, wide), { maxLength: 5 }),
  policy: record({
    directives: record({
      noStore: fc.boolean(),
      noCache: fc.boolean(),
      noCacheFields: names,
      isPrivate: fc.boolean(),
      privateFields: names,
      isPublic: fc.boolean(),
      mustRevalidate: fc.boolean(),
      proxyRevalidate: fc.boolean(),
      mustUnderstand: fc.boolean(),
      sMaxage: seconds,
      maxAge: seconds,
      staleWhileRevalidate: seconds,
      staleIfError: seconds,
    }),
    addressed: fc.boolean(),
    declared: fc.boolean(),
    explicitLifetimeMs: fc.option(time, { nil: undefined }),
    lifetimeMs: time,
    initialAgeMs: time,
    staleWhileRevalidateMs: time,
    staleIfErrorMs: time,
  }),
  generation: fc.option(text, { nil: undefined }),
  responseTime: time.map(epochMs),
  stamp: record({ asOf: fc.integer({ min: 0, max: 2 ** 50 }), epoch: fc.integer({ min: -1, max: 1_000 }) }),
  part: record({
    start: fc.constantFrom(0, 1, 5_000_000_000),
    bytes: fc.constantFrom(0, 1, 700, 16_384, 16_385, 90_000),
  }),
});

const key = fc.oneof(fc.webUrl(), fc.constantFrom('k', 'ключ', 'k'.repeat(40_000)));

test('a stored record is read back, field for field', async (t) => {
  await fc.assert(
    fc.asyncProperty(key, fc.array(variant, { minLength: 1, maxLength: 3 }), async (name, variants) => {
      const store = new MemoryStore(64_000_000);
      const stored = variants.map(({ part, ...rest }): StoredResponse => {
        const writer = store.begin(part.bytes) as StoreWriter;
        if (part.bytes > 0) writer.append(pattern(part.start, part.start + part.bytes));
        const stamp = { ...rest.stamp, checkedAt: -1, verdict: 'current' as const };
        return { ...rest, stamp, length: part.start + part.bytes, body: writer.commit(part.start) };
      });
      store.set(`${name}!`, stored.slice(0, 1));
      store.set(name, stored);
      // Looked up as bytes, and as what is remembered of them.
      for (let time = 0; time < 3; time++) {
        const found = store.get(name);
        if (found.length !== stored.length) return false;
        for (const [i, { body, ...rest }] of found.entries()) {
          const { body: original, ...expected } = {
            ...(stored[i] as StoredResponse),
            encodings: undefined,
            facts: undefined,
            prepared: undefined,
            forms: undefined,
          };
          if (!isDeepStrictEqual(rest, expected)) return false;
          const [here, there] = [body, original].map(({ ranges }) => ranges.map(({ start, end }) => [start, end]));
          if (!isDeepStrictEqual(here, there)) return false;
          if (body.id !== original.id) return false;
          for (const range of body.ranges) {
            if (!(await readFrom(body.open(range))).equals(pattern(range.start, range.end))) return false;
          }
        }
      }
      const keys = [...store.entries()].map(([found]) => found);
      return isDeepStrictEqual(keys.sort(), [name, `${name}!`].sort());
    }),
    { numRuns: 60 },
  );
  t.pass();
});
