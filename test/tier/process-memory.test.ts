import fc from 'fast-check';
import { test } from 'tap';
import { ProcessMemory, processBound, type YieldingStore } from '../../tier/process-memory.ts';

const MIB = 2 ** 20;
const MEMORY = 256 * MIB;

/** Store of which all room is in use. */
class FullStore implements YieldingStore {
  maxBytes: number;
  committedBytes: number;
  readonly givesBack: boolean;
  resized = 0;

  constructor(givesBack: boolean, bytes = MEMORY) {
    this.givesBack = givesBack;
    this.maxBytes = bytes;
    this.committedBytes = bytes;
  }

  resize(maxBytes: number): void {
    this.resized++;
    this.maxBytes = maxBytes;
  }

  /** Fills its room, or gives back what is beyond it. */
  settle(): void {
    if (this.maxBytes > this.committedBytes || this.givesBack) this.committedBytes = this.maxBytes;
  }
}

test('the bound is memory, a quarter of it, and 64 MiB', async (t) => {
  t.equal(processBound(256 * MIB), 384 * MIB);
  t.equal(processBound(1024 * MIB), 1344 * MIB);
});

for (const { what, committed, others, room } of [
  { what: 'a store grows up to its memory where that is left', committed: 10, others: 90, room: 256 },
  { what: 'a store grows up to an eighth below the bound', committed: 10, others: 112, room: 240 },
  { what: 'a store keeps what is committed when all else passes the bound', committed: 230, others: 300, room: 230 },
  { what: 'a store has seven eighths of its memory whatever all else takes', committed: 10, others: 500, room: 224 },
]) {
  test(`room in a process: ${what}`, async (t) => {
    const store = new FullStore(false);
    store.committedBytes = committed * MIB;
    const memory = new ProcessMemory();
    memory.add({ memoryBytes: () => MEMORY, store });
    const isScarce = memory.check((committed + others) * MIB);
    t.equal(store.maxBytes, room * MIB);
    t.equal(isScarce, committed + others > 384 - 16);
  });
}

test('nodes of one process share its bound by their memory', async (t) => {
  const [large, small] = [new FullStore(false), new FullStore(false)];
  large.committedBytes = small.committedBytes = 0;
  const memory = new ProcessMemory();
  memory.add({ memoryBytes: () => 768 * MIB, store: large });
  memory.add({ memoryBytes: () => 256 * MIB, store: small });
  memory.check(300 * MIB); // 916 of 1,216 are left
  t.same([large.maxBytes, small.maxBytes], [687 * MIB, 229 * MIB]);
  t.ok(memory.isUsed);
});

test('a node that has ended has no part any more', async (t) => {
  const store = new FullStore(false);
  const user = { memoryBytes: () => MEMORY, store };
  const memory = new ProcessMemory();
  memory.add(user);
  memory.remove(user);
  t.notOk(memory.isUsed);
  memory.check(1_000 * MIB);
  t.equal(store.resized, 0);
});

test('with any history of what all else takes, the process is within its bound where the least room of its store allows it', async (t) => {
  await fc.assert(
    fc.property(
      fc.boolean(),
      fc.array(fc.integer({ min: 60, max: 150 }), { minLength: 1, maxLength: 40 }),
      (givesBack, history) => {
        const store = new FullStore(givesBack, 0);
        const memory = new ProcessMemory();
        memory.add({ memoryBytes: () => MEMORY, store });
        let others = 0;
        for (const next of history) {
          // What the store has taken stays until it gives way, step by step.
          others = givesBack ? next : Math.max(others, next);
          for (let checks = 0; checks < 70; checks++) {
            const isScarce = memory.check(store.committedBytes + others * MIB);
            store.settle();
            if (store.maxBytes < (MEMORY * 7) / 8 || store.maxBytes > MEMORY) throw new Error(`${store.maxBytes}`);
            if (!isScarce && store.committedBytes + others * MIB > 384 * MIB) throw new Error('beyond the bound');
          }
          if (givesBack && store.committedBytes + others * MIB > 384 * MIB) throw new Error('does not give way');
        }
      },
    ),
  );
  t.pass();
});
