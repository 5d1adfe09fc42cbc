/** One chunk on its way: when its readers go on, and what it gives back. */
import { test } from 'tap';
import { ChunkFeed } from '../../../cache/large/feed.ts';
import { ChunkTransfer } from '../../../cache/large/transfer.ts';
import { SharedBody } from '../../../cache/shared-body.ts';
import { HttpError } from '../../../http/errors.ts';
import { readAll } from '../engine/bench.ts';
import { knownObject, MIB } from './known-object.ts';

const NO_FLOW = { pause: () => undefined, resume: () => undefined, abort: () => undefined };
const NO_SOURCE = { pause: () => undefined, resume: () => undefined, stop: () => undefined, unread: () => undefined };

async function stage() {
  const { bench, generation } = await knownObject();
  const { large } = bench.engine;
  const options = { large, engine: bench.engine, generation, isWanted: false, asksPeer: false, source: NO_SOURCE };
  const feed = new ChunkFeed({ ...options, range: { start: 0, end: 3 * MIB } }, 0);
  const transfer = new ChunkTransfer(1, { start: MIB + 10, end: 2 * MIB }, { feed, unread: large.unread });
  const body = new SharedBody({
    writer: undefined,
    maxStoredBytes: 0,
    windowBytes: MIB,
    flow: NO_FLOW,
    onAbandoned: () => undefined,
  });
  return { transfer, body, unread: large.unread };
}

async function isSettled(transfer: ChunkTransfer): Promise<boolean> {
  return Promise.race([transfer.settled.then(() => true), new Promise<boolean>((no) => setImmediate(no, false))]);
}

test('positions are those of the object: a body that begins inside its chunk is read from there', async (t) => {
  const { transfer, body } = await stage();
  t.notOk(transfer.canReadFrom(MIB + 10), 'nothing can be read before the first byte');
  transfer.begin(body);
  body.append(Buffer.from('abcdef'));
  t.notOk(transfer.canReadFrom(MIB + 9), 'the byte before is in another transfer');
  t.ok(transfer.canReadFrom(MIB + 10));
  t.ok(transfer.hasByteAt(2 * MIB - 1));
  t.notOk(transfer.hasByteAt(2 * MIB), 'the end is exclusive');
  const reader = transfer.reader({ start: MIB + 12, end: MIB + 15 });
  t.equal((await readAll(reader)).toString(), 'cde');
});

test('a chunk counts as fetched ahead until its first reader, or its end, and once only', async (t) => {
  for (const end of ['read', 'drop', 'both'] as const) {
    const { transfer, body, unread } = await stage();
    t.equal(unread.size, 1);
    transfer.begin(body);
    if (end !== 'drop') transfer.reader({ start: MIB + 10, end: MIB + 11 }).close();
    if (end !== 'read') transfer.drop(undefined);
    t.equal(unread.size, 0, end);
    transfer.countAsRead();
    t.equal(unread.size, 0, end);
  }
});

for (const { what, settle } of [
  { what: 'begins', settle: (transfer: ChunkTransfer, body: SharedBody) => transfer.begin(body) },
  { what: 'is dropped', settle: (transfer: ChunkTransfer) => transfer.drop(undefined) },
  { what: 'fails', settle: (transfer: ChunkTransfer) => transfer.drop(new HttpError('origin_timeout')) },
]) {
  for (const asked of ['before', 'after'] as const) {
    test(`a reader that began to wait ${asked} that reads on when the chunk ${what}`, async (t) => {
      const { transfer, body } = await stage();
      if (asked === 'before') t.notOk(await isSettled(transfer));
      settle(transfer, body);
      t.ok(await isSettled(transfer));
    });
  }
}

test('a reader of a chunk that fails gets that error; of one that is dropped, that it may ask again', async (t) => {
  for (const failure of [new HttpError('origin_timeout'), undefined]) {
    const { transfer, body } = await stage();
    transfer.begin(body);
    const reader = transfer.reader({ start: MIB + 10, end: MIB + 20 });
    transfer.drop(failure);
    t.equal(transfer.failure, failure);
    await t.rejects(async () => reader.next(), { code: failure?.code ?? 'client_closed' });
    t.notOk(transfer.canReadFrom(MIB + 10));
  }
});

test('the claim of a chunk among threads ends with it, once', async (t) => {
  const { transfer } = await stage();
  let released = 0;
  transfer.claim = { kind: 'own', release: () => void released++ };
  transfer.drop(undefined);
  transfer.release();
  t.equal(released, 1);
});
