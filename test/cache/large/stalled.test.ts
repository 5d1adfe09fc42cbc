/** A visitor that stalls in a chunk which is not stored holds upstream back for itself only. */
import { test } from 'tap';
import type { BodyReader } from '../../../http/message.ts';
import { Bench, readAll, turn } from '../engine/bench.ts';
import { bytesOf, LargeOrigin } from './large-origin.ts';

const MIB = 2 ** 20;
const LENGTH = 20 * MIB;
const FIRST = 4 * MIB;
const END = 9 * MIB;

/** This node does not store: it is not the owner of the key, which is not hot any more. */
const NOT_STORED = { keeps: false };

async function readPieces(reader: BodyReader, count: number): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  for (let i = 0; i < count; i++) pieces.push((await reader.next()) as Buffer);
  return pieces;
}

for (const pieces of [0, 1, 5]) {
  for (const { what, start } of [
    { what: 'at the same place', start: FIRST },
    { what: 'further on in the same chunk', start: FIRST + MIB / 2 },
    { what: 'in the next chunk', start: FIRST + MIB },
    { what: 'in the middle of the next chunk', start: FIRST + 1.5 * MIB },
  ]) {
    test(`a visitor that stalls after ${pieces} pieces does not hold back one that begins ${what}`, async (t) => {
      const bench = new Bench({ maxBytes: 128 * MIB });
      new LargeOrigin(bench.upstream, { length: LENGTH, pieceBytes: 60_000 });
      await bench.ask('/film', { headers: ['Range', 'bytes=-1'] }).whole();
      const visit = (from: number) =>
        bench.ask('/film', { headers: ['Range', `bytes=${from}-${END - 1}`], ...NOT_STORED }).reader();
      const stalled = await visit(FIRST);
      const first = await readPieces(stalled, pieces);
      for (let i = 0; i < 20; i++) await turn();

      const other = await readAll(await visit(start));
      t.ok(other.equals(bytesOf(1, start, END)), 'the other one gets all of it');

      const rest = await readAll(stalled);
      t.ok(Buffer.concat([...first, rest]).equals(bytesOf(1, FIRST, END)), 'and so does the one that goes on');
      for (let i = 0; i < 20; i++) await turn();
      t.same(bench.leaks(), []);
      t.equal(bench.engine.large.size, 0);
    });
  }
}
