/**
 * Visitors that stop reading and go on, at any moment, with bodies of many sizes: no body stops on its way through
 * edge, owner and shield, and none has a wrong byte.
 */
import { once } from 'node:events';
import { get, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as timeout } from 'node:timers/promises';
import { test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { startOrigin } from '../support/origin.ts';
import { seededRandom } from '../support/random.ts';
import { HOST } from '../support/visitor.ts';

const SIZES = [0, 1, 1_000, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 200_000, 1_048_576, 1_048_577, 3_000_000];
/** More than the kernel's buffers hold, so that a pause is felt by each node up to the origin. */
const LARGE = [9_000_000, 20_000_000];
const KEEPING = ['max-age=60', 'private', 'no-store', 'max-age=0, stale-while-revalidate=60'];
/** A body that brings nothing for so long, while it is read, stands still. */
const STALL_MS = 15_000;
/** More of them: `SEAWALL_PAUSES_ROUNDS=40 SEAWALL_PAUSES_SEED=7 TAP_TIMEOUT=0 npm run test:one -- THIS_FILE`. */
const ROUNDS = Number(process.env['SEAWALL_PAUSES_ROUNDS'] ?? 2);
const SEED = Number(process.env['SEAWALL_PAUSES_SEED'] ?? 3);

/** Bytes of which no piece is like another one nearby, different for each path. */
function bodyOf(path: string, size: number): Buffer {
  const pattern = Buffer.from(Array.from({ length: 4_099 }, (_, at) => (at * 7 + (at >> 5) + path.length) & 255));
  pattern.write(path);
  return Buffer.alloc(size, pattern);
}

/** Reads an answer with pauses. @returns The number of bytes, and how it ended. */
async function readSlowly(answer: IncomingMessage, body: Buffer, next: (below: number) => number): Promise<string> {
  let at = 0;
  let isPaused = false;
  let last = performance.now();
  let outcome = '';
  const ended = new Promise<void>((resolve) => {
    answer.on('data', (piece: Buffer) => {
      last = performance.now();
      if (Buffer.compare(piece, body.subarray(at, at + piece.length)) !== 0) outcome = `wrong bytes at ${at}`;
      at += piece.length;
      if (next(body.length > 4_000_000 ? 40 : 10) > 2 || outcome !== '') return;
      isPaused = true;
      answer.pause();
      const ms = next(8) === 0 ? 250 + next(800) : next(30);
      setTimeout(() => {
        isPaused = false;
        last = performance.now();
        answer.resume();
      }, ms);
    });
    answer.once('close', resolve);
    answer.on('error', () => undefined);
  });
  const watch = setInterval(() => {
    if (isPaused || performance.now() - last < STALL_MS) return;
    outcome = `stands still at ${at} of ${body.length}`;
    answer.destroy();
  }, 500);
  await ended;
  clearInterval(watch);
  if (outcome !== '') return outcome;
  return answer.complete && at === body.length ? 'whole' : `cut off at ${at} of ${body.length}`;
}

/** Calls back once, when more can be written or nothing more will be. */
function goOn(response: ServerResponse, resolve: () => void): void {
  const done = (): void => {
    response.off('drain', done);
    response.off('close', done);
    resolve();
  };
  response.on('drain', done);
  response.on('close', done);
}

for (let round = 0; round < ROUNDS; round += 1) {
  test(`round ${round}: every body is whole, or is cut off where it may be`, async (t) => {
    const random = seededRandom(SEED * 1_000 + round);
    const next = (below: number): number => Math.floor(random() * below);
    const origin = await startOrigin(async (request, response) => {
      const path = request.url ?? '';
      const [, size = '0', keeping = '0', pace = '0'] = /^\/p-(\d+)-(\d)-(\d)/.exec(path) ?? [];
      const body = bodyOf(path, Number(size));
      response.writeHead(200, {
        'Cache-Control': KEEPING[Number(keeping)],
        ...(pace !== '1' && { 'Content-Length': body.length }),
      });
      response.flushHeaders();
      if (next(4) === 0) await timeout(next(400));
      for (let at = 0; at < body.length && !response.destroyed; ) {
        const piece = body.subarray(at, at + 1 + next(pace === '2' ? 200_000 : 30_000));
        at += piece.length;
        if (!response.write(piece)) await new Promise<void>((resolve) => goOn(response, resolve));
        if (next(4) === 0) await timeout(next(6));
      }
      response.end();
    });
    const isImpatient = next(3) === 0;
    const network = await startNetwork({
      origin: origin.url,
      memory: next(2) === 0 ? '8MiB' : '64MiB',
      limits: { fill_window: next(2) === 0 ? '64KiB' : '1MiB', write_timeout: isImpatient ? '300ms' : '60s' },
    });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const outcomes: string[] = [];
    const bodies = Array.from({ length: 30 }, async (_, i) => {
      const size = (i < 4 ? LARGE[next(LARGE.length)] : SIZES[next(SIZES.length)]) as number;
      const keeping = next(KEEPING.length);
      const path = network.pathOf(
        next(4) === 0 ? 'eu-1' : 'eu-2',
        `/p-${size}-${keeping}-${i < 4 ? 2 : next(3)}-${i}-`,
      );
      const body = bodyOf(path, size);
      const readers = Array.from({ length: 1 + next(3) }, async () => {
        await timeout(next(40));
        const address = new URL(`http://${network.at('eu-1')}${path}`);
        const request = get(address, { headers: { host: HOST }, agent: false });
        const [answer] = (await once(request, 'response')) as [IncomingMessage];
        const outcome = await readSlowly(answer, body, next);
        outcomes.push(outcome);
        if (/wrong|still/.test(outcome)) t.fail(`${path}: ${outcome}`);
        else if (!isImpatient && keeping === 0 && size <= 65_537) t.equal(outcome, 'whole', path);
      });
      await Promise.all(readers);
    });
    await Promise.all(bodies);
    const whole = outcomes.filter((outcome) => outcome === 'whole').length;
    t.ok(
      whole > outcomes.length / 2,
      `${whole} of ${outcomes.length} whole: ${outcomes
        .filter((o) => o !== 'whole')
        .slice(0, 5)
        .join(', ')}`,
    );
  });
}
