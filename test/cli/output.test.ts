/** Lines of several threads on one output: each whole, and none read where the output is slow. */
import { PassThrough, Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { test } from 'tap';
import { flush, Lines } from '../../cli/output.ts';

test('lines of each source come whole and in order, however they are cut', async (t) => {
  const line = fc.string({ unit: fc.constantFrom('a', 'b', 'ä'), maxLength: 12 });
  const cut = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ lines: fc.array(line, { maxLength: 8 }), cut }), { maxLength: 4 }),
      async (sources) => {
        let text = '';
        const out = new Writable({
          highWaterMark: 8,
          write(chunk, _encoding, done) {
            text += chunk;
            setImmediate(done);
          },
        });
        const all = new Lines(out);
        await Promise.all(
          sources.map(async ({ lines, cut: sizes }, index) => {
            const source = new PassThrough();
            all.take(source);
            const bytes = Buffer.from(lines.map((one) => `${index}:${one}\n`).join(''));
            for (let at = 0, i = 0; at < bytes.length; i += 1) {
              const size = sizes[i % sizes.length] as number;
              source.write(bytes.subarray(at, at + size));
              at += size;
              await turn();
            }
            source.end('a part of a line');
          }),
        );
        for (let i = 0; i < 200 && text.split('\n').length - 1 < sources.flatMap(({ lines }) => lines).length; i += 1)
          await turn();
        for (const [index, { lines }] of sources.entries()) {
          const own = text.split('\n').filter((one) => one.startsWith(`${index}:`));
          t.same(
            own,
            lines.map((one) => `${index}:${one}`),
          );
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('a source is not read while the output takes nothing, and is read on when it does or has gone', async (t) => {
  for (const end of ['drain', 'error'] as const) {
    const out = new Writable({ highWaterMark: 1, write: () => undefined });
    out.on('error', () => undefined);
    const source = new PassThrough();
    new Lines(out).take(source);
    source.write('a line\n');
    await turn();
    t.ok(source.isPaused(), end);
    out.emit(end, new Error('gone'));
    await turn();
    t.notOk(source.isPaused(), end);
  }
});

test('a line without end is dropped, and the one behind it is not', async (t) => {
  const out = new PassThrough();
  const source = new PassThrough();
  new Lines(out).take(source);
  for (let i = 0; i < 3; i += 1) source.write(Buffer.alloc(600_000, 'x'));
  source.write('end\nnext\n');
  await turn();
  const text = String(out.read());
  t.ok(text.endsWith('end\nnext\n') || text.endsWith('next\n'));
  t.ok(text.length < 700_000);
});

test('an exit waits for what was written, and no longer for a reader that does not read', async (t) => {
  await flush(new PassThrough());
  const slow = new Writable({ write: (_chunk, _encoding, done) => void setTimeout(done, 50) });
  slow.write('a');
  await flush(slow);
  t.equal(slow.writableLength, 0);
  const stuck = new Writable({ write: () => undefined });
  stuck.write('a');
  const began = performance.now();
  await flush(stuck);
  t.ok(performance.now() - began >= 1_900);
});
