import { test } from 'tap';
import { boundMemory, scarcity } from '../../cli/process-memory.ts';

const MIB = 2 ** 20;

for (const { what, memory, isScarce } of [
  { what: 'whose memory is small beside its process', memory: 4 * MIB, isScarce: 1 },
  { what: 'whose memory is large beside its process', memory: 65_536 * MIB, isScarce: 0 },
]) {
  test(`a node ${what}: from the first moment on, memory is ${isScarce === 1 ? '' : 'not '}scarce`, async (t) => {
    const end = boundMemory({ memoryBytes: () => memory });
    t.equal(Atomics.load(scarcity, 0), isScarce);
    end();
  });
}

test('the bound of a process is that of all its nodes', async (t) => {
  const ends = [65_536 * MIB, 4 * MIB].map((memory) => boundMemory({ memoryBytes: () => memory }));
  t.equal(Atomics.load(scarcity, 0), 0);
  for (const end of ends) end();
});
