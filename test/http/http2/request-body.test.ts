/** Bodies of HTTP/2: small frames that come in one read are one piece, and the other side is told of every byte. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { test } from 'tap';
import { RequestBody } from '../../../http/http2/request-body.ts';

/** A body whose pieces and bytes that were settled are counted. */
function counted(): { body: RequestBody; pieces: Buffer[]; settled: () => number } {
  let settled = 0;
  const pieces: Buffer[] = [];
  const body = new RequestBody((bytes) => {
    settled += bytes;
  });
  const push = body.push.bind(body);
  body.push = (piece: Buffer | null) => {
    if (piece !== null) pieces.push(piece);
    return push(piece);
  };
  return { body, pieces, settled: () => settled };
}

test('a thousand frames of one byte are one piece', async (t) => {
  const { body, pieces } = counted();
  const bytes = Buffer.from('__a__');
  let waits = 0;
  for (let i = 0; i < 1_000; i++) if (body.receive(bytes, 2, 3)) waits++;
  t.equal(waits, 1);
  t.equal(pieces.length, 0);
  body.handOn();
  body.handOn();
  bytes.fill('X');
  t.strictSame(
    pieces.map((piece) => piece.toString()),
    ['a'.repeat(1_000)],
  );
  t.equal(body.receive(bytes, 0, 1), true);
  body.finish();
  t.equal(pieces.length, 2);
});

const read = fc.array(
  fc.oneof({ weight: 4, arbitrary: fc.nat(50) }, fc.nat(16_384), fc.constantFrom(2_047, 2_048, 16_384)),
  { maxLength: 40 },
);

test('any body in any frames arrives whole, and its flow control is settled', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(read, { maxLength: 8 }), fc.option(fc.nat(8), { freq: 4 }), async (reads, brokenAt) => {
      const { body, pieces, settled } = counted();
      const sent: Buffer[] = [];
      const got: Buffer[] = [];
      body.on('data', (piece: Buffer) => got.push(Buffer.from(piece)));
      for (const [i, sizes] of reads.entries()) {
        if (i === brokenAt) body.destroy();
        for (const size of sizes.filter((one) => one > 0)) {
          const frame = Buffer.alloc(size + 2, sent.length + 1);
          sent.push(Buffer.from(frame.subarray(1, size + 1)));
          body.receive(frame, 1, size + 1);
          frame.fill(0);
        }
        body.handOn();
        await nextTurn();
      }
      if (!body.destroyed) body.finish();
      await nextTurn();
      const all = Buffer.concat(sent);
      if (settled() !== all.length) return false;
      if (brokenAt !== null && brokenAt < reads.length) return true;
      const large = sent.filter(({ length }) => length >= 2_048).length;
      // A large frame is a piece of its own and parts the small ones before it from those after it.
      const gathered = reads.length + 2 * large + all.length / 8_192 + 1;
      return Buffer.concat(got).equals(all) && pieces.length <= gathered;
    }),
    { numRuns: 100 },
  );
});
