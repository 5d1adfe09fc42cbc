/**
 * An encoding whose response changes while it is made, and the bounds of the queue.
 */
import { gunzipSync } from 'node:zlib';
import { test } from 'tap';
import { encode } from '../../../cache/encoding/encode.ts';
import type { EncodeOrder } from '../../../cache/encoding/encoder-thread.ts';
import { type EncodingOutcome, Encodings } from '../../../cache/encoding/encodings.ts';
import { openOwnStore } from '../../../cache/shared/shared-memory.ts';
import type { Store } from '../../../cache/store/store.ts';
import type { StoredResponse } from '../../../cache/stored-response.ts';
import { storedResponse } from '../../support/stored-response.ts';

const MIB = 2 ** 20;
const KEY = 'https://site.test/';
const FAST = { coding: 'gzip', isFast: true } as const;

interface Setting {
  readonly store: Store;
  readonly encodings: Encodings;
  readonly outcomes: EncodingOutcome[];
  refused: number;
  /** Called in the middle of an encoding. */
  meanwhile: () => void;
  stored(bytes?: number): StoredResponse;
  idle(): Promise<void>;
}

/** The encoder runs here, so that a test can do something in the middle. */
function start(memory = 8 * MIB): Setting {
  const store = openOwnStore(memory);
  const outcomes: EncodingOutcome[] = [];
  const running: Promise<void>[] = [];
  let id = 0;
  const setting: Setting = {
    store,
    outcomes,
    refused: 0,
    meanwhile: () => undefined,
    stored(bytes = 20_000) {
      const stored = storedResponse(store, ++id, bytes, 1_700_000_000_000);
      store.set(KEY, [stored]);
      return store.get(KEY)[0] as StoredResponse;
    },
    async idle() {
      while (encodings.waiting > 0) await Promise.allSettled(running);
    },
    encodings: undefined as never,
  };
  const encodings = new Encodings({
    store,
    events: {
      encoded: (_coding, _isFast, outcome) => outcomes.push(outcome),
      encodingRefused: () => setting.refused++,
    },
    withThread: (next) => {
      const run = async (): Promise<void> => {
        await Promise.resolve();
        while (
          await next(async (order: EncodeOrder) => {
            const bytes = encode(order);
            setting.meanwhile();
            return { bytes };
          })
        );
      };
      const promise = run();
      running.push(promise);
      return promise;
    },
  });
  return Object.assign(setting, { encodings });
}

function encodedBody(store: Store, key = KEY): Buffer | undefined {
  const [stored] = store.get(key);
  const body = stored?.encodings?.[0]?.body;
  if (body === undefined) return undefined;
  const reader = body.open({ start: 0, end: body.ranges[0]?.end ?? 0 });
  const pieces: Buffer[] = [];
  for (let piece = reader.next(); piece !== null; piece = reader.next()) pieces.push(Buffer.from(piece as Buffer));
  return Buffer.concat(pieces);
}

for (const bytes of [300, 20_000, 3 * MIB]) {
  test(`an encoding of ${bytes} bytes is stored with its response`, async (t) => {
    const { store, encodings, outcomes, stored, idle } = start(16 * MIB);
    encodings.want(KEY, stored(bytes), FAST);
    await idle();
    t.same(outcomes, ['made']);
    t.equal(gunzipSync(encodedBody(store) as Buffer).length, bytes);
    t.equal(store.get(KEY)[0]?.length, bytes, 'the response is as it was');
    store.delete(KEY);
    t.same(store.get(KEY), []);
  });
}

test('a large encoding is evicted with its response', async (t) => {
  const setting = start(8 * MIB);
  const { store, encodings, outcomes, idle } = setting;
  // Of noise in base 64: an encoding too large for the record.
  const writer = store.begin(MIB);
  writer?.append(Buffer.from(Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString('base64')));
  const body = writer?.commit(0);
  if (body === undefined) throw new Error('no room');
  const like = setting.stored();
  store.set(KEY, [{ ...like, body, length: 80_000 }]);
  encodings.want(KEY, store.get(KEY)[0] as StoredResponse, FAST);
  await idle();
  t.same(outcomes, ['made']);
  t.ok((store.get(KEY)[0]?.encodings?.[0]?.body?.size ?? 0) > 50_000);
  const before = store.bytesInUse;
  store.delete(KEY);
  t.ok(before - store.bytesInUse > 120_000, 'the memory of both is free');
});

test('an encoding of a response that is deleted meanwhile is dropped', async (t) => {
  const setting = start();
  const { store, encodings, outcomes, stored, idle } = setting;
  setting.meanwhile = () => store.delete(KEY);
  encodings.want(KEY, stored(), FAST);
  await idle();
  t.same(outcomes, ['gone']);
  t.same(store.get(KEY), []);
});

test('an encoding of a response that is replaced meanwhile is dropped', async (t) => {
  const setting = start();
  const { store, encodings, outcomes, stored, idle } = setting;
  setting.meanwhile = () => void stored(5_000);
  encodings.want(KEY, stored(), FAST);
  await idle();
  t.same(outcomes, ['gone']);
  t.equal(store.get(KEY)[0]?.length, 5_000);
  t.equal(store.get(KEY)[0]?.encodings, undefined, 'the new one has no encoding of the old');
});

test('an encoding joins what a 304 has made of its response meanwhile', async (t) => {
  const setting = start();
  const { store, encodings, outcomes, stored, idle } = setting;
  setting.meanwhile = () => store.set(KEY, [{ ...(store.get(KEY)[0] as StoredResponse), headers: ['X-New', 'yes'] }]);
  encodings.want(KEY, stored(), FAST);
  await idle();
  t.same(outcomes, ['made']);
  t.same(store.get(KEY)[0]?.headers, ['X-New', 'yes']);
  t.ok(encodedBody(store));
});

test('what waits is bounded, and wanted once', async (t) => {
  const setting = start();
  const { encodings, stored, idle } = setting;
  const response = stored();
  for (let i = 0; i < 3; i++) encodings.want(KEY, response, FAST);
  t.equal(encodings.waiting, 1);
  for (let i = 0; i < 1_000; i++) encodings.want(`${KEY}${i}`, response, FAST);
  t.equal(encodings.waiting, 256);
  t.equal(setting.refused, 745);
  await idle();
  t.equal(encodings.waiting, 0);
});

test('a failing encoder leaves the response as it was, and does not go on for ever', async (t) => {
  const setting = start();
  const { store, encodings, outcomes, stored, idle } = setting;
  setting.meanwhile = () => {
    throw new Error('out of memory');
  };
  encodings.want(KEY, stored(), FAST);
  await idle();
  t.same(outcomes, ['failed']);
  t.equal(store.get(KEY)[0]?.encodings, undefined);
  setting.meanwhile = () => undefined;
  encodings.want(KEY, store.get(KEY)[0] as StoredResponse, FAST);
  await idle();
  t.same(outcomes, ['failed', 'made'], 'the next one is made');
});

test('no thread to be had: nothing waits for ever', async (t) => {
  const store = openOwnStore(MIB);
  const events = { encoded: () => undefined, encodingRefused: () => undefined };
  let attempts = 0;
  const encodings = new Encodings({
    store,
    events,
    withThread: async () => {
      attempts++;
      throw new Error('no thread');
    },
  });
  encodings.want(KEY, storedResponse(store, 1, 1_000, 0), FAST);
  await new Promise(setImmediate);
  t.equal(encodings.waiting, 0);
  t.equal(attempts, 1);
});

test('after its close nothing is stored', async (t) => {
  const setting = start();
  const { store, encodings, outcomes, stored, idle } = setting;
  setting.meanwhile = () => encodings.close();
  encodings.want(KEY, stored(), FAST);
  await idle();
  t.same(outcomes, ['gone']);
  t.equal(store.get(KEY)[0]?.encodings, undefined);
  encodings.want(KEY, stored(), FAST);
  t.equal(encodings.waiting, 0);
});
