import { test } from 'tap';
import { boundMemory, scarcity } from '../../cli/process-memory.ts';

const MIB = 2 ** 20;

function emptyStore(maxBytes: number) {
  return {
    maxBytes,
    committedBytes: 0,
    givesBack: false,
    resize(bytes: number): void {
      this.maxBytes = bytes;
    },
  };
}

test('a node whose memory is small beside its process has seven eighths for what is stored, and memory is scarce', async (t) => {
  const store = emptyStore(4 * MIB);
  const end = boundMemory({ memoryBytes: () => 4 * MIB, store });
  t.equal(store.maxBytes, 3.5 * MIB, 'from the first moment on');
  t.equal(Atomics.load(scarcity, 0), 1);
  end();
});

test('a node whose memory is large beside its process has all of it for what is stored', async (t) => {
  const store = emptyStore(65_536 * MIB);
  const end = boundMemory({ memoryBytes: () => 65_536 * MIB, store });
  t.equal(store.maxBytes, 65_536 * MIB);
  t.equal(Atomics.load(scarcity, 0), 0);
  end();
});

test('the bound of a process is that of all its nodes', async (t) => {
  const [small, large] = [emptyStore(4 * MIB), emptyStore(65_536 * MIB)];
  const ends = [
    boundMemory({ memoryBytes: () => 65_536 * MIB, store: large }),
    boundMemory({ memoryBytes: () => 4 * MIB, store: small }),
  ];
  t.equal(small.maxBytes, 4 * MIB);
  t.equal(Atomics.load(scarcity, 0), 0);
  for (const end of ends) end();
});
