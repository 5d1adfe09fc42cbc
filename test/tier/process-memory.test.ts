import fc from 'fast-check';
import { test } from 'tap';
import { ProcessMemory, processBound, storeBytes } from '../../tier/process-memory.ts';

const MIB = 2 ** 20;

test('the bound is memory, a quarter of it, and 64 MiB', async (t) => {
  t.equal(processBound(256 * MIB), 384 * MIB);
  t.equal(processBound(1024 * MIB), 1344 * MIB);
});

test('memory is scarce from a sixteenth of it below the bound on, which all nodes of a process share', async (t) => {
  const memory = new ProcessMemory();
  const node = { memoryBytes: () => 256 * MIB };
  memory.add(node);
  t.notOk(memory.isScarce(368 * MIB));
  t.ok(memory.isScarce(369 * MIB));
  const other = { memoryBytes: () => 768 * MIB };
  memory.add(other);
  t.notOk(memory.isScarce(1_280 * MIB));
  t.ok(memory.isScarce(1_281 * MIB));
  memory.remove(other);
  t.ok(memory.isScarce(369 * MIB));
  memory.remove(node);
  t.notOk(memory.isUsed);
});

for (const { memory, workers, hasDisk = false, store, why } of [
  { memory: 256, workers: 1, store: 172, why: 'the program, a thread and their traffic take the rest of the bound' },
  { memory: 256, workers: 2, store: 64, why: 'it has a quarter of memory at least' },
  { memory: 256, workers: 1, hasDisk: true, store: 152, why: 'the index of a disk takes an eighth of that besides' },
  { memory: 512, workers: 2, store: 380, why: 'each thread takes of it, the one that supervises as well' },
  { memory: 1024, workers: 1, store: 1024, why: 'it has all of memory where the bound leaves that' },
]) {
  test(`of ${memory} MiB with ${workers} workers a store has ${store}: ${why}`, async (t) => {
    t.equal(Math.floor(storeBytes(memory * MIB, { workers, isSupervised: workers > 1, hasDisk }) / MIB), store);
  });
}

test('property: a store has no more than memory and no less than a quarter of it, and grows with memory', async (t) => {
  const sizes = fc.integer({ min: 1, max: 2 ** 44 });
  await fc.assert(
    fc.asyncProperty(sizes, sizes, fc.integer({ min: 1, max: 256 }), fc.boolean(), async (one, more, workers, disk) => {
      const shape = { workers, isSupervised: false, hasDisk: disk };
      const bytes = storeBytes(one, shape);
      t.ok(bytes <= one && bytes >= Math.floor(one / 4));
      t.ok(storeBytes(one + more, shape) >= bytes);
      t.ok(storeBytes(one, { ...shape, workers: workers + 1 }) <= bytes);
      t.ok(storeBytes(one, { ...shape, isSupervised: true }) <= bytes);
    }),
    { numRuns: 100 },
  );
});
