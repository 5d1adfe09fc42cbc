import { test } from 'tap';
import { ProcessMemory, processBound } from '../../tier/process-memory.ts';

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
