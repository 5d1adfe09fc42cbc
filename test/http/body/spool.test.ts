import { mkdtempSync, readdirSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { Spool } from '../../../http/body/spool.ts';
import { HttpError } from '../../../http/errors.ts';
import { WholeBody } from '../../../http/http1/whole-body.ts';
import { limitFiles } from '../../support/file-limit.ts';

const KIB = 1024;

function start(t: Test, memoryBytes = 1024 * KIB, fileBytes = 4096 * KIB) {
  const folder = mkdtempSync(join(tmpdir(), 'seawall-spool-test-'));
  const spool = new Spool({ folder: () => folder, memoryBytes: () => memoryBytes, fileBytes: () => fileBytes });
  t.teardown(async () => {
    await spool.close();
    rmSync(folder, { recursive: true });
  });
  return { spool, folder };
}

/** Bytes that tell where they stand. */
function pattern(length: number, seed: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 131 + (i >> 8) * 17 + seed * 29) & 0xff));
}

function isEmpty({ memory, blocks }: Spool): boolean {
  return memory.taken === 0 && blocks.taken === 0;
}

async function code(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: unknown) => (error instanceof HttpError ? error.code : String(error)),
  );
}

test('property: concurrent bodies, in pieces of any size, are read back unchanged and leave nothing', async (t) => {
  const { spool } = start(t, 8192 * KIB, 32_768 * KIB);
  const pieces = fc.array(fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 60_000, max: 140_000 })), {
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(pieces, { minLength: 1, maxLength: 6 }), async (bodies) => {
      const all = bodies.map((sizes, n) => sizes.map((size, i) => pattern(size, n * 31 + i)));
      const kept = await Promise.all(all.map((body, n) => spool.take(Readable.from(body), `v${n}`)));
      const read = await Promise.all(kept.map((body) => buffer(body)));
      t.ok(read.every((bytes, n) => bytes.equals(Buffer.concat(all[n] as Buffer[]))));
      await new Promise(setImmediate);
      t.ok(isEmpty(spool));
    }),
    { numRuns: 30 },
  );
});

test('the file is unlinked, and a short body needs none', async (t) => {
  const { spool, folder } = start(t);
  await buffer(await spool.take(Readable.from([pattern(60_000, 1)]), 'v'));
  await buffer(await spool.take(Readable.from([pattern(600_000, 1)]), 'v'));
  t.same(readdirSync(folder), []);
});

test('a body of single bytes holds at most twice its size in memory', async (t) => {
  const { spool } = start(t);
  const body = new PassThrough();
  const taken = spool.take(body, 'v');
  for (let i = 0; i < 5_000; i++) body.write('x');
  await new Promise(setImmediate);
  while (body.readableLength > 0) await new Promise(setImmediate);
  t.ok(spool.memory.taken <= 8_192, `${spool.memory.taken}`);
  body.end();
  t.equal((await buffer(await taken)).length, 5_000);
});

for (const { what, memory, file, length } of [
  { what: 'the file is full', memory: 1024 * KIB, file: 1024 * KIB, length: 2_000_000 },
  { what: 'there is no file', memory: 1024 * KIB, file: 0, length: 200_000 },
  { what: 'memory is full', memory: 16 * KIB, file: 4096 * KIB, length: 60_000 },
]) {
  test(`${what}: spool_full, and everything is released`, async (t) => {
    const { spool } = start(t, memory, file);
    t.equal(await code(spool.take(Readable.from([pattern(length, 1)]), 'v')), 'spool_full');
    t.ok(isEmpty(spool));
  });
}

test('a full disk gives spool_full with folder and key, releases everything, and later bodies are spooled', async (t) => {
  const { spool, folder } = start(t, 1024 * KIB, 16_384 * KIB);
  const lift = limitFiles(t, 500 * KIB);
  const fails = async (): Promise<void> => {
    const error = await spool.take(Readable.from([pattern(900_000, 1)]), 'v').catch((thrown: unknown) => thrown);
    t.match(error, { code: 'spool_full', message: `spool.folder ${folder}: ` });
  };
  const kept = await spool.take(Readable.from([pattern(300_000, 7)]), 'other');
  const held = spool.blocks.taken;
  await fails();
  await Promise.all([fails(), fails()]);
  t.equal(spool.blocks.taken, held);
  t.ok(
    (await buffer(await spool.take(Readable.from([pattern(60_000, 2)]), 'v'))).equals(pattern(60_000, 2)),
    'in memory',
  );
  t.ok((await buffer(kept)).equals(pattern(300_000, 7)), 'what was there is whole');
  lift();
  t.ok((await buffer(await spool.take(Readable.from([pattern(900_000, 3)]), 'v'))).equals(pattern(900_000, 3)));
  await new Promise(setImmediate);
  t.ok(isEmpty(spool));
});

test('a missing folder gives spool_full until it exists', async (t) => {
  let folder = '/nowhere/at/all';
  const spool = new Spool({ folder: () => folder, memoryBytes: () => 2 ** 20, fileBytes: () => 2 ** 22 });
  t.teardown(() => spool.close());
  t.equal(await code(spool.take(Readable.from([pattern(200_000, 1)]), 'v')), 'spool_full');
  t.ok(isEmpty(spool));
  folder = tmpdir();
  t.equal((await buffer(await spool.take(Readable.from([pattern(200_000, 1)]), 'v'))).length, 200_000);
});

test('a body that breaks off, and one that is abandoned half read, leave nothing', async (t) => {
  const { spool } = start(t);
  const body = new PassThrough();
  const taken = code(spool.take(body, 'v'));
  body.write(pattern(300_000, 1));
  await new Promise(setImmediate);
  body.destroy(new HttpError('client_closed'));
  t.equal(await taken, 'client_closed');
  t.ok(isEmpty(spool));
  const kept = await spool.take(Readable.from([pattern(300_000, 1)]), 'v');
  await kept[Symbol.asyncIterator]().next();
  const closed = new Promise((resolve) => kept.once('close', resolve));
  kept.destroy();
  await closed;
  t.ok(isEmpty(spool));
});

test('one visitor leaves room for others', async (t) => {
  const { spool } = start(t);
  const held: Readable[] = [];
  for (;;) {
    const kept = await spool.take(Readable.from([pattern(200_000, 1)]), 'greedy').catch(() => undefined);
    if (kept === undefined) break;
    held.push(kept);
  }
  t.ok(spool.memory.heldBy('greedy') <= 256 * KIB && spool.blocks.heldBy('greedy') <= 16);
  t.equal((await buffer(await spool.take(Readable.from([pattern(200_000, 2)]), 'other'))).length, 200_000);
  for (const kept of held) kept.destroy();
});

test(
  'a large file is truncated when it is empty',
  { skip: process.platform !== 'linux' && 'nothing else tells which files are open' },
  async (t) => {
    const { spool, folder } = start(t, 1024 * KIB, 65_536 * KIB);
    const sizes = (): number[] =>
      readdirSync('/proc/self/fd').flatMap((fd) => {
        const link = `/proc/self/fd/${fd}`;
        try {
          return readlinkSync(link).startsWith(folder) ? [statSync(link).size] : [];
        } catch {
          return []; // closed meanwhile
        }
      });
    const keep = async (bytes: number): Promise<void> => {
      const kept = await spool.take(Readable.from([Buffer.alloc(bytes, 'x')]), undefined);
      const [size = 0] = sizes();
      t.ok(size >= bytes - 64 * KIB);
      t.equal((await buffer(kept)).length, bytes);
    };
    await keep(20_000 * KIB);
    while (sizes().length > 0) await new Promise(setImmediate);
    await keep(1_000 * KIB); // goes on with a new one, which is small and is kept
    t.strictSame(sizes().length, 1);
  },
);

test('a body that is whole takes memory as any other, until it is given up, and is refused where there is none', async (t) => {
  const { spool } = start(t, 64 * KIB, 0);
  const kept = spool.takeWhole(new WholeBody(pattern(40_000, 1)), undefined);
  t.equal(spool.memory.taken, 40_000);
  const refused = new WholeBody(pattern(40_000, 2));
  t.throws(() => spool.takeWhole(refused, undefined), { code: 'spool_full' });
  t.ok(refused.destroyed);
  t.ok((await buffer(kept)).equals(pattern(40_000, 1)));
  await new Promise(setImmediate);
  t.ok(isEmpty(spool), 'read');
  const given = spool.takeWhole(new WholeBody(pattern(10_000, 3)), 'v');
  given.destroy();
  await new Promise(setImmediate);
  t.ok(isEmpty(spool), 'given up');
  t.equal(given.bytes.length, 0);
});
