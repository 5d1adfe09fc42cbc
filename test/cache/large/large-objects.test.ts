/** Large objects of a node: which generation a response belongs to, and keys that are not stored in chunks any more. */
import { test } from 'tap';
import { chunkKey } from '../../../cache/large/chunk.ts';
import type { Generation } from '../../../cache/large/generation.ts';
import { type KnownObject, knownObject, LENGTH, MIB } from './known-object.ts';
import { bytesOf } from './large-origin.ts';

const TTL_MS = 10_000;
const LARGE = { start: 0, end: LENGTH, length: LENGTH, validator: '"v1"' };

/** Stores a chunk, of so many bytes. */
function putChunk({ bench, generation }: KnownObject, index: number, bytes: number): void {
  const writer = bench.store.begin(bytes);
  writer?.append(bytesOf(1, index * MIB, index * MIB + bytes));
  const body = writer?.commit(0);
  if (body === undefined) throw new Error('no room');
  bench.engine.large.put(generation, index, body);
}

/** A generation of another version of the object. */
function another({ bench, head }: KnownObject, id: string): Generation {
  return bench.engine.large.of({ ...head, generation: id }, bench.keyOf('/film'));
}

test('a response is of the stored head’s generation only if it is the same bytes, and no purge has named it', async (t) => {
  const stage = await knownObject();
  const { bench, head, request } = stage;
  const { large } = bench.engine;
  const generationOf = (change: Partial<typeof LARGE> = {}, headers: string[] = []) =>
    large.for(request({ headers }), head, { ...LARGE, ...change }).id;
  t.equal(generationOf(), head.generation);
  t.not(generationOf({ validator: '"v2"' }), head.generation, 'another tag');
  t.not(generationOf({ length: LENGTH + 1 }), head.generation, 'another length');
  t.not(generationOf({ validator: '"v2"' }), generationOf({ validator: '"v2"' }), 'each new one is one of its own');
  bench.ledger.apply([{ seq: 1, site: 'shop', kind: 'url', selector: '//shop.test/film', soft: true }]);
  t.not(generationOf(), head.generation, 'after a purge');
});

test('a generation that has ended takes no new response', async (t) => {
  const { bench, generation, head, request } = await knownObject();
  const { large } = bench.engine;
  generation.enter();
  large.end(generation, 'policy', TTL_MS);
  bench.store.set(bench.keyOf('/film'), [head]); // a thread that knows nothing of it
  t.not(large.for(request(), head, LARGE).id, generation.id);
  generation.leave();
});

test('a key is not stored in chunks after three ends within their time, and again after it', async (t) => {
  const stage = await knownObject();
  const { bench, request } = stage;
  const { large } = bench.engine;
  const end = (id: string) => large.end(another(stage, id), 'changed', TTL_MS);
  end('a');
  end('b');
  t.ok(large.mayChunk(request()));
  end('c');
  t.notOk(large.mayChunk(request()));
  t.ok(large.mayChunk(bench.request('/other')), 'other keys are');
  bench.pass(TTL_MS / 1000 - 1);
  t.notOk(large.mayChunk(request()));
  bench.pass(1);
  t.ok(large.mayChunk(request()));
  end('d');
  t.ok(large.mayChunk(request()), 'the count begins anew');
});

test('ends that lie apart are not added up', async (t) => {
  const stage = await knownObject();
  const { bench, request } = stage;
  for (const id of ['a', 'b', 'c', 'd', 'e']) {
    bench.engine.large.end(another(stage, id), 'changed', TTL_MS);
    bench.pass(TTL_MS / 1000 + 1);
  }
  t.ok(bench.engine.large.mayChunk(request()));
});

test('one generation ends once, however often that is seen; an origin without ranges ends chunks at once', async (t) => {
  const stage = await knownObject();
  const { bench, generation, request } = stage;
  const { large } = bench.engine;
  for (let i = 0; i < 5; i++) large.end(generation, 'changed', TTL_MS);
  t.same(bench.ended, ['changed']);
  t.ok(large.mayChunk(request()));
  large.end(another(stage, 'x'), 'no-ranges', TTL_MS);
  t.notOk(large.mayChunk(request()));
});

test('with a generation goes its own head, and no other variant', async (t) => {
  const stage = await knownObject();
  const { bench, head } = stage;
  const key = bench.keyOf('/film');
  const other = { ...head, generation: 'other' };
  bench.store.set(key, [head, other]);
  bench.engine.large.end(another(stage, 'third'), 'changed', TTL_MS);
  t.equal(bench.store.get(key).length, 2, 'a generation that has no head here takes none');
  bench.engine.large.end(stage.generation, 'changed', TTL_MS);
  t.same(
    bench.store.get(key).map(({ generation }) => generation),
    ['other'],
  );
});

test('a chunk is read as a whole one of this generation, or not at all', async (t) => {
  const stage = await knownObject();
  const { bench, generation } = stage;
  const { large } = bench.engine;
  const range = { start: 5, end: 10 };
  t.equal(large.open(generation, 1, range), undefined);
  putChunk(stage, 1, MIB);
  const reader = large.open(generation, 1, range);
  t.ok((reader?.next() as Buffer).equals(bytesOf(1, MIB + 5, MIB + 10)));
  reader?.close();
  t.equal(large.open(another(stage, 'x'), 1, range), undefined, 'not another generation’s');
  putChunk(stage, 3, LENGTH - 3 * MIB);
  const longer = large.of({ ...stage.head, length: LENGTH + 1 }, bench.keyOf('/film'));
  t.ok(large.has(longer, 3));
  t.equal(large.open(longer, 3, range), undefined, 'not one of an object that was shorter');
  bench.store.delete(chunkKey(generation.id, 1));
  t.notOk(large.has(generation, 1));
  t.equal(large.open(generation, 1, range), undefined);
});

test('without a disk, and with one thread, nothing is loaded or claimed', async (t) => {
  const { bench, generation } = await knownObject();
  t.equal(bench.engine.large.load(generation, 0), undefined);
  t.equal(bench.engine.large.claim(generation, 0, false), undefined);
});
