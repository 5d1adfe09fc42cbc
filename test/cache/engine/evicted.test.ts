/** Stored responses that go while a request that has found them is on its way, also by evictions of other threads. */
import fc from 'fast-check';
import { test } from 'tap';
import { HttpError } from '../../../http/errors.ts';
import type { ScriptedExchange } from '../../support/scripted-fetch.ts';
import { storedResponse } from '../../support/stored-response.ts';
import { type Asked, Bench, field, pattern, turn } from './bench.ts';

const TARGET = '/a';
const HEADERS = ['Cache-Control', 'max-age=10, stale-while-revalidate=5, stale-if-error=1000'];
const STORES = ['memory', 'shared'] as const;

/** Lengths of bodies: in the record, and in pieces outside of it. */
const LENGTHS = { small: 2_000, large: 60_000 };

class Origin {
  version = 1;
  readonly #bench: Bench;
  readonly #length: number;

  constructor(bench: Bench, length: number) {
    this.#bench = bench;
    this.#length = length;
  }

  answer(kind: 'right' | 'error'): void {
    const [exchange] = this.#bench.upstream.open;
    if (exchange === undefined) return;
    if (kind === 'error') exchange.respond(503, [], 'no');
    else this.#answer(exchange);
  }

  #answer(exchange: ScriptedExchange): void {
    const tag = `"${this.version}"`;
    if (field(exchange.request.headers, 'if-none-match') === tag) exchange.respond(304, ['ETag', tag, ...HEADERS]);
    else exchange.respond(200, ['ETag', tag, ...HEADERS], pattern(this.#length, this.version));
  }

  /** @returns Why the answer is none that a cache may give; `undefined` if it may. */
  async wrong(asked: Asked): Promise<string | undefined> {
    try {
      const { status, headers, body } = await asked.whole();
      if (status === 503) return undefined;
      if (status !== 200 && status !== 206) return `status ${status}`;
      const whole = pattern(this.#length, Number(JSON.parse(field(headers, 'etag') ?? '')));
      const [from, to] = status === 206 ? [1_000, 1_900] : [0, this.#length];
      return body.equals(whole.subarray(from, to)) ? undefined : `${body.length} other bytes`;
    } catch (error) {
      return error instanceof HttpError ? undefined : String(error);
    }
  }
}

for (const kind of STORES) {
  test(`a response that is evicted while a request has it in hand is a miss: ${kind} store, at random`, async (t) => {
    const operation = fc.constantFrom(
      'ask',
      'ask',
      'range',
      'answer',
      'answer',
      'error',
      'change',
      'pass',
      'evict',
      'race',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { minLength: 10, maxLength: 60 }),
        fc.constantFrom(...Object.values(LENGTHS)),
        async (operations, length) => {
          const bench = new Bench({ store: kind, maxBytes: 400_000 });
          const origin = new Origin(bench, length);
          const key = bench.keyOf(TARGET);
          const get = bench.store.get.bind(bench.store);
          let isRace = false;
          bench.store.get = (name) => {
            const found = get(name);
            if (isRace && found.length > 0) evict();
            return found;
          };
          const evict = (): void => {
            isRace = false;
            bench.store.delete(key);
            fillUp(bench);
          };
          const asked: Asked[] = [];
          for (const what of operations) {
            if (what === 'ask') asked.push(bench.ask(TARGET));
            else if (what === 'range') asked.push(bench.ask(TARGET, { headers: ['Range', 'bytes=1000-1899'] }));
            else if (what === 'answer') origin.answer('right');
            else if (what === 'error') origin.answer('error');
            else if (what === 'change') origin.version++;
            else if (what === 'pass') bench.pass(8);
            else if (what === 'evict') evict();
            else isRace = true;
            await turn();
          }
          isRace = false;
          const outcomes = Promise.all(asked.map((one) => origin.wrong(one)));
          while (bench.upstream.open.length > 0) {
            origin.answer('right');
            await turn();
          }
          const wrong = (await outcomes).filter((reason) => reason !== undefined);
          if (wrong.length > 0) throw new Error(wrong.join(', '));
          const leaks = bench.leaks();
          if (leaks.length > 0) throw new Error(leaks.join(', '));
        },
      ),
      { numRuns: 60 },
    );
    t.pass();
  });
}

/** Stores others until their bytes are where those of an evicted response were, and evicts them, too. */
function fillUp({ store, now }: Bench): void {
  const keys = Array.from({ length: 8 }, (_, i) => `http://shop.test/other-${i}`);
  for (const [i, key] of keys.entries()) {
    if (store.bytesInUse + 2 * OTHER_BYTES < store.maxBytes)
      store.set(key, [storedResponse(store, i, OTHER_BYTES, now)]);
  }
  for (const key of keys) store.delete(key);
}

const OTHER_BYTES = 40_000;
