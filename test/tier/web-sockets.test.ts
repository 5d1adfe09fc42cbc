import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { test } from 'tap';
import { FramePosition, WebSockets } from '../../tier/web-sockets.ts';

/** A frame of a server (RFC 6455, section 5.2). */
function frame(opcode: number, payload: Buffer): Buffer {
  const first = 0x80 | opcode;
  if (payload.length < 126) return Buffer.concat([Buffer.from([first, payload.length]), payload]);
  if (payload.length < 65_536) {
    const header = Buffer.from([first, 126, 0, 0]);
    header.writeUInt16BE(payload.length, 2);
    return Buffer.concat([header, payload]);
  }
  const header = Buffer.from([first, 127, 0, 0, 0, 0, 0, 0, 0, 0]);
  header.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([header, payload]);
}

const GOING_AWAY = frame(8, Buffer.from([0x03, 0xe9]));

const lengths = fc.oneof(fc.nat(130), fc.integer({ min: 65_500, max: 65_600 }), fc.constantFrom(0, 125, 126, 127));
const frames = fc.array(
  lengths.map((length) => frame(2, Buffer.alloc(length, 'x'))),
  { minLength: 1, maxLength: 8 },
);

/** Cuts bytes into pieces of these lengths, again and again. */
function pieces(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const cut: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] as number;
    cut.push(bytes.subarray(at, at + size));
    at += size;
  }
  return cut;
}

const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 70_000 })), { minLength: 1 });

test('property: a position knows where frames end, however they are cut', async () => {
  fc.assert(
    fc.property(frames, sizes, (sent, cut) => {
      const ends = new Set<number>();
      let end = 0;
      for (const one of sent) {
        end += one.length;
        ends.add(end);
      }
      const position = new FramePosition();
      let at = 0;
      for (const piece of pieces(Buffer.concat(sent), cut)) {
        for (let rest = piece; rest.length > 0; ) {
          const taken = position.advance(rest, true);
          at += taken;
          rest = rest.subarray(taken);
          if (position.isBetweenFrames !== ends.has(at)) return false;
        }
      }
      return position.isBetweenFrames;
    }),
  );
});

/** The connection to a server whose bytes come when the test says, and one to a visitor that notes what it gets. */
function connections(): { server: Duplex; visitor: Duplex; received: Buffer[] } {
  const received: Buffer[] = [];
  const server = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  const visitor = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      received.push(chunk);
      done();
    },
  });
  return { server, visitor, received };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('property: whole frames, and 1001 behind them, however they come and whenever the node drains', async () => {
  await fc.assert(
    fc.asyncProperty(frames, sizes, fc.nat(40), async (sent, cut, drainsAt) => {
      const { server, visitor, received } = connections();
      const sockets = new WebSockets();
      sockets.add(server, visitor);
      server.pipe(visitor);
      const parts = pieces(Buffer.concat(sent), cut).slice(0, 60);
      let passed = 0;
      for (const [index, part] of parts.entries()) {
        if (index === drainsAt) {
          await turn();
          sockets.end();
        }
        if (index < drainsAt) passed += part.length;
        server.push(part);
      }
      await turn();
      await turn();
      if (drainsAt >= parts.length) sockets.end();
      const bytes = Buffer.concat(received);
      const all = Buffer.concat(sent);
      let end = 0;
      for (const one of sent) if (end < passed) end += one.length;
      const isCutOff = end > parts.reduce((sum, part) => sum + part.length, 0); // the frame has not ended yet
      if (isCutOff) return bytes.equals(all.subarray(0, bytes.length));
      return bytes.equals(Buffer.concat([all.subarray(0, end), GOING_AWAY]));
    }),
    { numRuns: 200 },
  );
});

test('a server that has closed by itself is not spoken for', async (t) => {
  const { server, visitor, received } = connections();
  const sockets = new WebSockets();
  sockets.add(server, visitor);
  server.pipe(visitor);
  const close = frame(8, Buffer.from([0x0f, 0xa1]));
  server.push(close);
  await turn();
  sockets.end();
  await turn();
  t.ok(Buffer.concat(received).equals(close));
});
