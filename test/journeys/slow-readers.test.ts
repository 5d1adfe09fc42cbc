/**
 * Bodies that are larger than what a node can keep, and visitors that read
 * them at very different paces (promise P2): the slow ones hold nobody back,
 * and get every byte.
 */
import { once } from 'node:events';
import { type Test, test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { open, read } from '../support/visitor.ts';

const FILM = Buffer.alloc(24_000_000);
for (let at = 0; at < FILM.length; at += 4) FILM.writeUInt32LE(at, at);

async function start(t: Test): Promise<{ origin: Origin; edge: string; path: string }> {
  const origin = await startOrigin((request, response) => {
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const start = Number(first ?? 0);
    const end = last ? Number(last) + 1 : FILM.length;
    response.writeHead(first === undefined ? 200 : 206, {
      'Cache-Control': 'max-age=60',
      ETag: '"film"',
      'Content-Length': end - start,
      ...(first !== undefined && { 'Content-Range': `bytes ${start}-${end - 1}/${FILM.length}` }),
    });
    response.end(FILM.subarray(start, end));
  });
  const network = await startNetwork({
    origin: origin.url,
    memory: '8MiB',
    limits: { fill_window: '256KiB' },
  });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  return { origin, edge: network.at('eu-1'), path: network.pathOf('eu-1', '/film/') };
}

for (const { what, headers, status, from } of [
  { what: 'a whole body', headers: {}, status: 200, from: 0 },
  { what: 'a range', headers: { Range: 'bytes=1000-' }, status: 206, from: 1_000 },
]) {
  test(`${what}, shared: a reader that falls behind continues by itself`, async (t) => {
    const { origin, edge, path } = await start(t);
    const arrived = origin.next();
    const answers = [open(edge, path, { headers }), open(edge, path, { headers })];
    await arrived;
    const [slow, fast] = await Promise.all(answers);
    if (slow === undefined || fast === undefined) throw new Error('no answer');
    t.strictSame([slow.statusCode, fast.statusCode], [status, status]);

    const quick = await read(fast); // to the end, while the other has read nothing
    t.ok(quick.complete);
    t.ok(quick.body.equals(FILM.subarray(from)));

    const late = await read(slow);
    t.ok(late.complete, 'not cut off');
    t.ok(late.body.equals(FILM.subarray(from)));
  });
}

test('many readers pause in the middle and continue', async (t) => {
  const { edge, path } = await start(t);
  const answers = await Promise.all(Array.from({ length: 12 }, () => open(edge, path)));
  await Promise.all(answers.map((answer) => once(answer, 'readable'))); // each has its first bytes, and waits
  for (const answer of answers) {
    const { complete, body } = await read(answer);
    t.ok(complete && body.equals(FILM));
  }
});
