/** The ring of segments against a model: what comes back is what was stored last, or nothing. */
import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'tap';
import { MAX_KEY_BYTES } from '../../../cache/disk/format.ts';
import { contentOf, type OpenStore, openStore, SEGMENT_BYTES, temporary, versionOf } from './stores.ts';

const SEGMENTS = 4;
const FILE_BYTES = SEGMENTS * SEGMENT_BYTES;

const key = fc.nat(11).map((number) => `https://a.test/${number}`);

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      type: fc.constant('append' as const),
      key,
      bytes: fc.constantFrom(0, 1, 700, 3_000, 15_000),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('remove' as const), key }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('read' as const), key }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('flush' as const) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('restart' as const), isClean: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('copy' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('put back' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('flip' as const), at: fc.nat(FILE_BYTES - 1), bits: fc.nat(255) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('zeros' as const), at: fc.nat(FILE_BYTES - 1), bytes: fc.nat(40_000) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('cut' as const), at: fc.nat(FILE_BYTES - 1) }) },
);

type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

const BEHIND_DAMAGE: Step[] = [
  { type: 'append', key: 'https://a.test/0', bytes: 3_000 },
  { type: 'append', key: 'https://a.test/0', bytes: 700 },
  { type: 'flush' },
  { type: 'restart', isClean: false },
  { type: 'append', key: 'https://a.test/10', bytes: 0 },
  { type: 'zeros', at: 1_709, bytes: 1_492 },
  { type: 'append', key: 'https://a.test/10', bytes: 700 },
  { type: 'zeros', at: 0, bytes: 0 },
];

/**
 * The newest head is lost, so its serial is given again, and behind the records under it is a head of a later serial.
 */
const SERIAL_GIVEN_AGAIN: Step[] = [
  ...([15_000, 15_000, 0, 0, 700, 3_000, 0, 15_000] as const).map(appendOf),
  { type: 'flush' },
  { type: 'restart', isClean: false },
  appendOf(15_000),
  { type: 'cut', at: SEGMENT_BYTES + 200 },
  appendOf(0),
  { type: 'zeros', at: 42_964, bytes: 22_573 },
  appendOf(15_000),
  { type: 'zeros', at: 0, bytes: 0 },
];

function appendOf(bytes: Extract<Step, { type: 'append' }>['bytes']): Step {
  return { type: 'append', key: 'https://a.test/0', bytes };
}

/** Versions that may come back for a key; 0 is none. */
type Allowed = Map<string, Set<number>>;

function copyOf(allowed: Allowed): Allowed {
  return new Map([...allowed].map(([name, versions]) => [name, new Set(versions)]));
}

test('whatever happens to process and file, a record is as it was stored, and not replaced or removed', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 90, size: 'max' }), async (steps) => {
      const path = temporary(t);
      const file = join(path, 'segments');
      let open: OpenStore = await openStore(path, { segments: SEGMENTS });
      let allowed: Allowed = new Map();
      /** Contents that may come back if the process is killed now. */
      let durable: Allowed = new Map();
      let copy: { bytes: Buffer; allowed: Allowed } | undefined;
      let version = 0;
      const restart = async (isClean: boolean, damage: () => void = () => undefined): Promise<void> => {
        if (isClean) {
          await open.store.flush();
          durable = copyOf(allowed);
        }
        await open.close();
        damage();
        open = await openStore(path, { segments: SEGMENTS });
        allowed = copyOf(durable);
      };
      for (const one of steps) {
        switch (one.type) {
          case 'append': {
            const refusal = open.store.append(contentOf(one.key, ++version, one.bytes));
            if (refusal === undefined) {
              allowed.set(one.key, new Set([version, 0]));
              durable.set(one.key, new Set([...(durable.get(one.key) ?? [0]), version]));
            }
            break;
          }
          case 'remove':
            open.store.remove(one.key);
            allowed.set(one.key, new Set([0]));
            durable.get(one.key)?.add(0);
            break;
          case 'read': {
            const found = await open.store.read(one.key);
            const got = found === undefined ? 0 : versionOf(one.key, found);
            if (got !== 0 && !allowed.get(one.key)?.has(got))
              throw new Error(`${one.key}: ${got}, not ${[...(allowed.get(one.key) ?? [])]}`);
            break;
          }
          case 'flush':
            await open.store.flush();
            durable = copyOf(allowed);
            break;
          case 'restart':
            await restart(one.isClean);
            break;
          case 'copy':
            await open.store.flush();
            durable = copyOf(allowed);
            copy = { bytes: readFileSync(file), allowed: copyOf(allowed) };
            break;
          case 'put back':
            if (copy === undefined) break;
            await restart(true, () => {
              writeFileSync(file, copy?.bytes as Buffer);
              for (const [name, versions] of copy?.allowed ?? [])
                durable.set(name, new Set([...versions, ...(durable.get(name) ?? [])]));
            });
            break;
          case 'flip':
            await restart(true, () => change(file, one.at, 1, (byte) => byte ^ one.bits));
            break;
          case 'zeros':
            await restart(true, () => change(file, one.at, one.bytes, () => 0));
            break;
          case 'cut':
            await restart(true, () => truncateSync(file, one.at));
            break;
        }
        if (open.failure()) throw open.failure();
      }
      for (const [name, versions] of allowed) {
        const found = await open.store.read(name);
        const got = found === undefined ? 0 : versionOf(name, found);
        if (got !== 0 && !versions.has(got)) throw new Error(`${name}: ${got}, not ${[...versions]}`);
      }
      await open.close();
    }),
    {
      numRuns: 150,
      // A damaged record hides those behind it, which are not to come back when others are written in its place.
      examples: [[BEHIND_DAMAGE], [SERIAL_GIVEN_AGAIN]],
    },
  );
});

function change(file: string, at: number, bytes: number, to: (byte: number) => number): void {
  const fd = openSync(file, 'r+');
  const buffer = Buffer.alloc(Math.max(0, Math.min(bytes, fstatSync(fd).size - at)));
  readSync(fd, buffer, 0, buffer.length, at);
  for (let i = 0; i < buffer.length; i++) buffer[i] = to(buffer[i] as number);
  writeSync(fd, buffer, 0, buffer.length, at);
  closeSync(fd);
}

test('a footer counts only for the head that it was written under, though another has its serial', async (t) => {
  const path = temporary(t);
  const file = join(path, 'segments');
  const fill = async (store: OpenStore['store'], version: number, until: number): Promise<void> => {
    for (let i = 0; i < until; i++) {
      while (store.append(contentOf(`k${i}`, version, 3_000)) === 'busy')
        await new Promise((resolve) => setImmediate(resolve));
    }
    await store.flush();
  };
  const first = await openStore(path);
  await fill(first.store, 1, 50); // seals the first segments
  await first.close();
  const damaged = readFileSync(file);
  for (let at = 0; at < damaged.length; at += SEGMENT_BYTES) damaged.fill(0, at, at + 1); // no head is left
  writeFileSync(file, damaged);
  const second = await openStore(path);
  t.equal(second.store.size, 0);
  await fill(second.store, 2, 5);
  await second.close();
  const third = await openStore(path);
  t.equal(third.store.size, 5, 'no row of the footer behind');
  for (let i = 0; i < 50; i++) {
    const found = await third.store.read(`k${i}`);
    t.equal(found && versionOf(`k${i}`, found), i < 5 ? 2 : undefined, `k${i}`);
  }
  await third.close();
});

test('what was flushed is found by the next process, whether the last one was closed or not', async (t) => {
  const path = temporary(t);
  const first = await openStore(path);
  for (let i = 0; i < 100; i++) {
    t.equal(first.store.append(contentOf(`k${i}`, i + 1, 1_000)), undefined);
    if (i % 20 === 0) await first.store.flush();
  }
  await first.store.flush();
  for (let i = 0; i < 10; i++) first.store.remove(`k${i}`);
  first.store.append(contentOf('k10', 500, 200));
  await first.store.flush();
  await first.close(); // nothing is sealed but by its writer
  const second = await openStore(path);
  for (let i = 0; i < 100; i++) {
    const found = await second.store.read(`k${i}`);
    t.equal(found && versionOf(`k${i}`, found), i < 10 ? undefined : i === 10 ? 500 : i + 1, `k${i}`);
  }
  second.store.append(contentOf('late', 7, 100));
  await second.store.flush();
  await second.close();
  const third = await openStore(path);
  t.ok(await third.store.read('late'), 'what is written on is found as well');
  t.ok(await third.store.read('k99'));
  await third.close();
});

test('a record can be read before it is written', async (t) => {
  const open = await openStore(temporary(t));
  open.store.append(contentOf('small', 1, 100));
  open.store.append(contentOf('large', 2, 10_000));
  for (const name of ['small', 'large']) {
    const found = await open.store.read(name);
    t.ok(found && versionOf(name, found));
  }
  t.equal(open.store.read('nothing'), undefined, 'known at once');
  await open.close();
});

test('a full ring drops the oldest first, but for what was read; that adds at most a quarter', async (t) => {
  const open = await openStore(temporary(t), { segments: 6 });
  const { store } = open;
  let appended = 0;
  const append = async (name: string, bytes: number): Promise<void> => {
    while (store.append(contentOf(name, 1, bytes)) === 'busy') await new Promise((resolve) => setImmediate(resolve));
    appended++;
  };
  await append('wanted', 1_000);
  for (let i = 0; i < 2_000; i++) {
    await append(`k${i}`, 1_000);
    if (i % 20 === 0) {
      const found = await store.read('wanted');
      t.ok(found && versionOf('wanted', found), `read is what stays: ${i}`);
      for (const j of [i - 1, i - 40, i - 200].filter((one) => one >= 0)) {
        const other = await store.read(`k${j}`);
        if (other) versionOf(`k${j}`, other);
      }
    }
  }
  t.ok(store.size < 400, `${store.size} of ${appended} are left`);
  t.ok(store.counts.reinsertedBytes > 0);
  t.ok(store.counts.reinsertedBytes <= store.counts.appendedBytes / 4, JSON.stringify(store.counts));
  t.equal(store.counts.corrupt, 0);
  t.equal(open.failure(), undefined);
  await open.close();
});

test('a record that moves to another segment while it is read is found', async (t) => {
  const open = await openStore(temporary(t), { segments: 6 });
  const { store } = open;
  const append = async (name: string): Promise<void> => {
    while (store.append(contentOf(name, 1, 1_000)) === 'busy') await new Promise((resolve) => setImmediate(resolve));
  };
  await append('wanted');
  let lost = 0;
  for (let i = 0; i < 400; i++) {
    const reading = store.read('wanted'); // meanwhile the oldest segment is drained
    for (let j = 0; j < 10; j++) await append(`k${i}-${j}`);
    if ((await reading) === undefined) lost++;
  }
  t.equal(lost, 0);
  t.ok(store.counts.reinsertedBytes > 0);
  await open.close();
});

test('reads while everything is evicted return right bytes or nothing', async (t) => {
  const open = await openStore(temporary(t), { segments: 4 });
  const { store } = open;
  let found = 0;
  const latest = new Map<string, number>();
  const readers = Array.from({ length: 8 }, async (_, reader) => {
    for (let i = 0; i < 400; i++) {
      const name = `k${(i * 7 + reader) % 60}`;
      const content = await store.read(name);
      if (content === undefined) await new Promise((resolve) => setImmediate(resolve));
      else if (versionOf(name, content) > 0) found++;
    }
  });
  const writer = (async () => {
    for (let i = 0; i < 3_000; i++) {
      const name = `k${i % 60}`;
      if (store.append(contentOf(name, i + 1, 2_000 + (i % 7) * 500)) === undefined) latest.set(name, i + 1);
      if (i % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  await Promise.all([...readers, writer]);
  t.ok(found > 0, `${found} reads`);
  for (const [name, version] of latest) {
    const content = await store.read(name);
    if (content) t.equal(versionOf(name, content), version);
  }
  t.equal(store.counts.corrupt, 0);
  await open.close();
});

test('what is too large, or more than the index has room for, is refused by name', async (t) => {
  const open = await openStore(temporary(t), { maxIndexBytes: 1 });
  t.equal(open.store.append(contentOf('k', 1, SEGMENT_BYTES)), 'too-large');
  t.equal(open.store.append(contentOf('k', 1, 10)), 'index-full');
  await open.close();
  t.equal(open.store.append(contentOf('k', 1, 10)), 'loading', 'a closed store takes nothing');
});

test('a key that a thread could not note while it changes it is not stored', async (t) => {
  const open = await openStore(temporary(t), { segmentBytes: 1024 * 1024, bufferBytes: 256 * 1024 });
  for (const [character, bytes] of [
    ['k', 1],
    ['é', 2],
    ['€', 3],
  ] as const) {
    const longest = character.repeat(Math.floor(MAX_KEY_BYTES / bytes));
    t.equal(open.store.append(contentOf(longest, 1, 10)), undefined);
    t.equal(open.store.append(contentOf(longest + character, 1, 10)), 'too-large');
  }
  await open.close();
});

test('a hash that was removed while the folder could not be written is not found when it can be', async (t) => {
  const path = temporary(t);
  const first = await openStore(path);
  first.store.append(contentOf('kept', 1, 10));
  first.store.append(contentOf('removed', 2, 10));
  await first.store.flush();
  first.store.append(contentOf('also removed', 3, 10));
  await first.store.flush();
  const removed = { hashes: [first.store.hashOf('removed')], keys: ['also removed'] };
  await first.close();
  const second = await openStore(path, { removed });
  t.ok(await second.store.read('kept'));
  t.equal(second.store.read('removed'), undefined);
  t.equal(second.store.read('also removed'), undefined);
  await second.store.flush();
  await second.close();
  const third = await openStore(path);
  t.equal(await third.store.read('removed'), undefined, 'nor later');
  await third.close();
});
