/** Chunks that come ahead of their readers: each is fetched once, whatever else memory has. */
import fc from 'fast-check';
import { test } from 'tap';
import type { Store } from '../../../cache/store/store.ts';
import type { BodyReader } from '../../../http/message.ts';
import { Bench, turn } from '../engine/bench.ts';
import { LargeOrigin } from './large-origin.ts';

const MIB = 2 ** 20;
const MAX_RUNS = Number(process.env['SEAWALL_LARGE_RUNS'] ?? 20);

/** As from a socket: not as long as a chunk is. */
const PIECE_BYTES = 60_000;

/** Turns in which the origin sends more than a chunk. */
const TURNS_OF_A_CHUNK = 25;

/** Bytes from the origin beside those of the chunks that were read. */
const MOST_RATIO = 1.1;

function start(maxBytes: number, store: 'memory' | 'shared', length: number) {
  const bench = new Bench({ maxBytes, store, site: { chunk_above: '1MiB', max_object: '8MiB' } });
  const origin = new LargeOrigin(bench.upstream, { length, pieceBytes: PIECE_BYTES });
  return { bench, origin };
}

/** Fills the memory with what is asked for all the time. */
async function fillWithPopular({ bench, origin }: ReturnType<typeof start>): Promise<void> {
  const { length } = origin.options;
  const { maxBytes } = bench.store;
  origin.set({ length: MIB / 2 });
  for (let i = 0; i * (MIB / 2) < maxBytes; i++) await bench.ask(`/popular${i}`).whole();
  for (let use = 0; use < 4; use++) {
    useAll(bench.store);
    await bench.ask(`/one-more${use}`).whole();
  }
  origin.set({ length });
}

function useAll(store: Store): void {
  for (const [key] of [...store.entries()]) for (let use = 0; use < 4; use++) store.get(key);
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

/** Reads all, slower than the origin sends. @returns Bytes. */
async function readSlowly(reader: BodyReader, pause: number): Promise<number> {
  let bytes = 0;
  let rest = 0;
  for (let piece = await reader.next(); piece !== null; piece = await reader.next()) {
    bytes += piece.length;
    rest += piece.length;
    if (rest < MIB / 4) continue;
    rest = 0;
    await turns(pause);
  }
  reader.close();
  return bytes;
}

for (const store of ['memory', 'shared'] as const) {
  test(`a chunk that came ahead of its reader stays until it is read, though all else is used more: ${store}`, async (t) => {
    const length = 12 * MIB + 5;
    const stage = start(24 * MIB, store, length);
    await fillWithPopular(stage);
    const { bench, origin } = stage;
    const before = { sent: origin.sent, count: bench.upstream.count };
    const reader = await bench.ask('/film').reader();
    t.equal(await readSlowly(reader, TURNS_OF_A_CHUNK), length);
    t.equal(origin.sent - before.sent, length);
    t.equal(bench.upstream.count - before.count, 1);
    t.same(bench.leaks(), []);
    t.equal(bench.engine.large.unread.size, 0);
  });
}

const visit = fc.record({
  /** Chunks that are read, from the beginning of the visitor's own part. */
  chunks: fc.integer({ min: 1, max: 7 }),
  pause: fc.constantFrom(0, TURNS_OF_A_CHUNK),
  /** True to ask for no end. */
  isOpen: fc.constantFrom(false, false, false, true),
});

/** Chunks of the part of the object that one visitor reads; one more than it reads at most. */
const PART_CHUNKS = 8;

for (const store of ['memory', 'shared'] as const) {
  test(
    `visitors at places of their own cost the origin each chunk once, in any memory: ${store}`,
    { timeout: 170_000 },
    async (t) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(visit, { minLength: 1, maxLength: 8 }),
          fc.constantFrom(3, 12, 24, 72),
          async (visits, memory) => {
            const stage = start(memory * MIB, store, visits.length * PART_CHUNKS * MIB);
            const { bench, origin } = stage;
            if (memory <= 24) await fillWithPopular(stage);
            await bench.ask('/film', { headers: ['Range', 'bytes=0-0'] }).whole();
            const before = origin.sent;
            await Promise.all(
              visits.map(async ({ chunks, pause, isOpen }, i) => {
                const first = i * PART_CHUNKS * MIB;
                const end = isOpen ? '' : first + chunks * MIB - 1; // one without an end is not asked for in bursts
                const reader = await bench.ask('/film', { headers: ['Range', `bytes=${first}-${end}`] }).reader();
                if (!isOpen) return readSlowly(reader, pause);
                for (let read = 0; read < chunks * MIB; ) read += (await reader.next())?.length ?? chunks * MIB;
                return reader.close();
              }),
            );
            await turns(100);
            const read = visits.reduce((sum, { chunks }) => sum + chunks * MIB, 0);
            // Of a reader that wants more and leaves, what came ahead of it was for nothing.
            const ahead = visits.reduce((sum, { isOpen }) => sum + (isOpen ? 2 * MIB : 0), 0);
            const sent = origin.sent - before;
            if (sent > read * MOST_RATIO + ahead)
              throw new Error(`${sent} bytes from the origin for ${read} that were read`);
            if (bench.engine.large.unread.size !== 0)
              throw new Error(`${bench.engine.large.unread.size} count as unread`);
            const leaks = bench.leaks();
            if (leaks.length > 0) throw new Error(leaks.join());
          },
        ),
        { numRuns: MAX_RUNS, interruptAfterTimeLimit: 150_000 },
      );
      t.pass();
    },
  );
}
