/** Bodies of HTTP/2: small frames that come in one read are one piece, and the other side is told of every byte. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { test } from 'tap';
import { WholeBody } from '../../../http/http1/whole-body.ts';
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
  t.equal(body.open(), body, 'it is not complete');
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

test('a body that is complete before its reader begins is a whole one, and settled', async (t) => {
  for (const sizes of [[], [1], [1, 1, 1], [4_000], [1, 4_000, 2_048, 7], [16_384, 16_384, 1]]) {
    const { body, pieces, settled } = counted();
    const sent = sizes.map((size, i) => Buffer.alloc(size, i + 1));
    for (const frame of sent) {
      const given = Buffer.from(frame);
      body.receive(given, 0, given.length);
      given.fill(0);
    }
    body.finish();
    const whole = body.open();
    t.ok(whole instanceof WholeBody && whole.bytes.equals(Buffer.concat(sent)), String(sizes));
    t.equal(
      settled(),
      sizes.reduce((sum, size) => sum + size, 0),
    );
    t.equal(pieces.length, 0, 'nothing of it went through a stream');
  }
});

for (const [what, givenUp] of [
  ['given up before its reader begins', (body: RequestBody) => body.discard()],
  ['destroyed before its reader begins', (body: RequestBody) => void body.destroy()],
] as const) {
  test(`every byte is settled of a body that is ${what}`, async (t) => {
    const { body, settled } = counted();
    body.on('error', () => undefined);
    const frame = Buffer.alloc(16_384);
    for (let i = 0; i < 8; i++) body.receive(frame, 0, frame.length);
    body.handOn();
    givenUp(body);
    for (let i = 0; i < 8; i++) body.receive(frame, 0, frame.length);
    body.finish();
    await nextTurn();
    t.equal(settled(), 16 * frame.length);
  });
}

const read = fc.array(
  fc.oneof({ weight: 4, arbitrary: fc.nat(50) }, fc.nat(16_384), fc.constantFrom(2_047, 2_048, 16_384)),
  { maxLength: 40 },
);

test('any body in any frames arrives whole, and its flow control is settled', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(read, { maxLength: 8 }),
      fc.option(fc.nat(8), { freq: 4 }),
      fc.nat(3),
      async (reads, brokenAt, begunAt) => {
        const { body, pieces, settled } = counted();
        const sent: Buffer[] = [];
        const got: Buffer[] = [];
        for (const [i, sizes] of reads.entries()) {
          if (i === begunAt) body.open().on('data', (piece: Buffer) => got.push(Buffer.from(piece)));
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
        if (begunAt >= reads.length) body.open().on('data', (piece: Buffer) => got.push(Buffer.from(piece)));
        await nextTurn();
        const all = Buffer.concat(sent);
        if (settled() !== all.length) return false;
        if (brokenAt !== null && brokenAt < reads.length) return true;
        const large = sent.filter(({ length }) => length >= 2_048).length;
        // A large frame is a piece of its own and parts the small ones before it from those after it.
        const gathered = reads.length + 2 * large + all.length / 8_192 + 1;
        return Buffer.concat(got).equals(all) && pieces.length <= gathered;
      },
    ),
    { numRuns: 100 },
  );
});
