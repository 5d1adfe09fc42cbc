/** One thread at a shared store, against a map. */
import fc from 'fast-check';
import { test } from 'tap';
import { makeSharedMemory } from '../../../cache/shared/layout.ts';
import { SharedStore } from '../../../cache/shared/shared-store.ts';
import { KeyBytes } from '../../../cache/store/key-bytes.ts';
import { payloadOf, versionOf } from './payloads.ts';

const MEBIBYTE = 1024 * 1024;
const STAMP = { asOf: 7, epoch: 3 };

function open(maxBytes = MEBIBYTE): { supervisor: SharedStore; store: SharedStore } {
  const memory = makeSharedMemory({ maxBytes, threads: 4 });
  const supervisor = new SharedStore(memory);
  return { supervisor, store: new SharedStore(memory, supervisor.addThread()) };
}

const keyOf = (number: number): KeyBytes => new KeyBytes().set(`https://a.example/${number}`);
const target = Buffer.alloc(8 * 1024);

function read(store: SharedStore, number: number): number | undefined {
  const length = store.read(keyOf(number), target);
  return length < 0 ? undefined : versionOf(number, target.subarray(0, length));
}

test('it agrees with a map, but for what is evicted', async (t) => {
  const operation = fc.record({
    kind: fc.constantFrom('set', 'set', 'delete', 'read', 'pin', 'unpin'),
    key: fc.nat(400),
  });
  fc.assert(
    fc.property(fc.array(operation, { minLength: 200, maxLength: 2_000 }), (operations) => {
      const { supervisor, store } = open(MEBIBYTE / 4);
      const model = new Map<number, number>();
      const pins: { key: number; version: number; payload: Buffer }[] = [];
      operations.forEach(({ kind, key }, version) => {
        if (kind === 'set') {
          const isStored = store.set(keyOf(key), payloadOf(key, version), STAMP);
          if (isStored) model.set(key, version);
          else model.delete(key);
          if (isStored && read(store, key) !== version) throw new Error('what has just been stored is gone');
        } else if (kind === 'delete') {
          store.delete(keyOf(key));
          model.delete(key);
        } else if (kind === 'pin') {
          const payload = store.pin(keyOf(key));
          if (payload !== undefined) pins.push({ key, version: versionOf(key, payload), payload });
        } else if (kind === 'unpin') {
          const pin = pins.shift();
          if (pin === undefined) return;
          if (versionOf(pin.key, pin.payload) !== pin.version) throw new Error('a pinned payload has changed');
          store.unpin(pin.payload);
        } else {
          const found = read(store, key);
          if (found !== undefined && found !== model.get(key))
            throw new Error(`${key}: ${found}, not ${model.get(key)}`);
        }
      });
      for (const { payload } of pins) store.unpin(payload);
      const errors = supervisor.errors();
      if (errors.length > 0) throw new Error(errors[0]);
    }),
    { numRuns: 30 },
  );
  t.pass();
});

test('what is used stays, what was used once goes', async (t) => {
  const { store } = open(MEBIBYTE);
  for (let i = 0; i < 20; i++) store.set(keyOf(i), payloadOf(i, 0), STAMP);
  for (let i = 100; i < 3_000; i++) {
    store.set(keyOf(i), payloadOf(i, 0), STAMP);
    for (let hot = 0; hot < 20; hot++) store.peek(keyOf(hot));
  }
  for (let hot = 0; hot < 20; hot++) t.equal(read(store, hot), 0);
  t.equal(read(store, 100), undefined);
  t.ok(store.bytes <= MEBIBYTE);
});

test('a payload that does not fit takes its key with it', async (t) => {
  const { store, supervisor } = open();
  t.ok(store.set(keyOf(1), payloadOf(1, 1), STAMP));
  t.notOk(store.set(keyOf(1), Buffer.alloc(store.maxPayload + 1), STAMP));
  t.equal(store.read(keyOf(1), target), -1);
  t.notOk(store.set(new KeyBytes().set('https://a.example/\u2603'), payloadOf(1, 1), STAMP), 'beyond Latin-1');
  t.same(supervisor.errors(), []);
});

test('readers that pin everything leave no room, and give it back', async (t) => {
  const { store } = open(MEBIBYTE / 4);
  const pins: Buffer[] = [];
  let number = 0;
  while (store.set(keyOf(number), payloadOf(number, 0), STAMP) && number < 10_000)
    pins.push(store.pin(keyOf(number++)) as Buffer);
  t.ok(number < 10_000, 'it is full');
  pins.forEach((payload, i) => {
    t.equal(versionOf(i, payload), 0);
    store.unpin(payload);
  });
  t.ok(store.set(keyOf(number), payloadOf(number, 0), STAMP));
});

test('pins of a thread that has ended are gone', async (t) => {
  const { store, supervisor } = open(MEBIBYTE / 4);
  const memory = makeSharedMemory({ maxBytes: MEBIBYTE / 4, threads: 2 });
  const [other, gone] = [new SharedStore(memory), new SharedStore(memory).addThread()];
  const reader = new SharedStore(memory, gone);
  let number = 0;
  while (reader.set(keyOf(number), payloadOf(number, 0), STAMP) && number < 10_000) reader.pin(keyOf(number++));
  other.ended(gone);
  const next = new SharedStore(memory, other.addThread());
  t.ok(next.set(keyOf(number), payloadOf(number, 0), STAMP));
  t.same(supervisor.errors(), []);
  t.equal(store.size, 0);
});

test('what one thread has checked against purges holds for all, until the key is stored anew', async (t) => {
  const { store } = open();
  const key = keyOf(1);
  store.set(key, payloadOf(1, 1), STAMP);
  store.peek(key);
  t.match(store.stamp, STAMP);
  t.notOk(store.isChecked(0));
  store.check(12);
  store.peek(key);
  t.ok(store.isChecked(12));
  t.ok(store.isChecked(5));
  t.notOk(store.isChecked(13));
  const before = store.serial;
  store.set(key, payloadOf(1, 2), STAMP);
  store.check(14); // of the record that was found, which is not there any more
  store.peek(key);
  t.notOk(store.isChecked(5));
  t.not(store.serial, before);
});

test('a fill is claimed once, followed, and free again when it has ended or its thread has', async (t) => {
  const memory = makeSharedMemory({ maxBytes: MEBIBYTE, threads: 4 });
  const supervisor = new SharedStore(memory);
  const [first, second] = [supervisor.addThread(), supervisor.addThread()];
  const [one, other] = [new SharedStore(memory, first), new SharedStore(memory, second)];
  const key = keyOf(1);
  const claim = one.claim(key);
  if (claim.kind !== 'own') return t.fail('not claimed');
  const followed = other.claim(key);
  if (followed.kind !== 'other') return t.fail('claimed twice');
  t.equal(followed.thread, first);
  const progress = followed.event(5_000);
  claim.progress();
  t.ok(await progress);
  t.ok(followed.isOpen());
  claim.release();
  t.ok(await followed.event(5_000));
  t.notOk(followed.isOpen());
  t.equal(other.claim(key).kind, 'own');
  const orphan = one.claim(key);
  if (orphan.kind !== 'other') return t.fail('claimed twice');
  supervisor.ended(second);
  t.ok(await orphan.event(5_000));
  t.notOk(orphan.isOpen());
  t.equal(one.claim(key).kind, 'own');
});
