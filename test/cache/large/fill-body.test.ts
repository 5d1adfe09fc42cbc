/** The body of a fill that is stored in chunks: what it says of itself, and when its fill is stopped. */
import { test } from 'tap';
import { ChunkedFillBody } from '../../../cache/large/fill-body.ts';
import { GenerationEndedError } from '../../../cache/large/generation.ts';
import { HttpError } from '../../../http/errors.ts';
import { readAll } from '../engine/bench.ts';
import { knownObject, LENGTH, MIB } from './known-object.ts';
import { bytesOf } from './large-origin.ts';

const TAG = '"v1"';

async function filling(start = 0, end: number = LENGTH) {
  const { bench, generation, head, request } = await knownObject();
  const calls: string[] = [];
  const call = (name: string) => () => void calls.push(name);
  const body = new ChunkedFillBody({
    engine: bench.engine,
    generation,
    large: { start, end, length: LENGTH, validator: TAG },
    request: request(),
    head,
    flow: { pause: call('pause'), resume: call('resume'), abort: call('abort') },
    onStopped: call('stopped'),
    onUnread: call('unread'),
  });
  return { bench, generation, body, calls };
}

test('a reader begins at a position in the body, which may be a part of the object', async (t) => {
  const { body } = await filling(MIB, 2 * MIB);
  const reader = body.reader(10, 5 * MIB);
  const bytes = readAll(reader);
  body.append(bytesOf(1, MIB, 2 * MIB));
  t.equal(body.end(), undefined);
  t.ok((await bytes).equals(bytesOf(1, MIB + 10, 2 * MIB)), 'it ends where the body does');
  t.equal(body.received, MIB);
  t.equal(body.state, 'ended');
});

test('what was not wanted before its fill could be stopped stops it as soon as it can be, once', async (t) => {
  const first = await filling(0, 2 * MIB);
  first.body.append(bytesOf(1, 0, MIB));
  first.body.windDown();
  t.ok(first.body.isStopped);
  t.same(
    first.calls.filter((name) => name === 'stopped'),
    [],
  );
  first.body.start();
  t.same(
    first.calls.filter((name) => name === 'stopped'),
    ['stopped'],
  );

  const second = await filling();
  second.body.start();
  t.same(second.calls, []);
  second.body.windDown();
  second.body.windDown();
  t.same(
    second.calls.filter((name) => name === 'stopped'),
    ['stopped'],
  );
});

test('no reader joins a body that has failed, or whose generation has ended', async (t) => {
  const { body, generation } = await filling();
  t.ok(body.canReadFrom());
  generation.ended = new GenerationEndedError('/film');
  t.notOk(body.canReadFrom());
  generation.ended = undefined;
  body.fail(new HttpError('origin_timeout'));
  t.notOk(body.canReadFrom());
  t.equal(body.isStoring, false);
});

test('an error after the end, or a second one, changes nothing', async (t) => {
  const { body } = await filling(0, 10);
  body.append(bytesOf(1, 0, 10));
  body.end();
  body.fail(new HttpError('origin_timeout'));
  t.equal(body.state, 'ended');

  const failed = await filling();
  failed.body.fail(new HttpError('origin_timeout'));
  failed.body.fail(new HttpError('internal'));
  t.equal(failed.body.state, 'failed');
});

test('readers of a body that ends too early ask for the rest', async (t) => {
  const { body, bench } = await filling();
  const reader = body.reader(0, 100);
  body.append(bytesOf(1, 0, 50));
  t.ok((await reader.next())?.equals(bytesOf(1, 0, 50)));
  const rest = reader.next();
  body.end();
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(bench.upstream.count, 2, 'the reader asks for what is missing');
  reader.close();
  t.equal(await rest, null);
});
