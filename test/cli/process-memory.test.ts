import { join } from 'node:path';
import { test } from 'tap';
import { boundMemory, scarcity, withStoreBytes } from '../../cli/process-memory.ts';
import { loadRegion } from '../../config/load.ts';
import { storeBytes } from '../../tier/process-memory.ts';
import { startOrigin, text } from '../support/origin.ts';
import { metric, region, startEdge } from './edge-workers.ts';

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

test('a node sees its own `memory` as that of its store, and all other nodes as they are', async (t) => {
  const yaml = `${region('http://127.0.0.1:1', { workers: 1 })}\nshields: [{ name: s-1, tier: '127.0.0.1:0' }]\n`;
  const whole = await loadRegion(join(t.testdir({ 'eu.yaml': yaml }), 'eu.yaml'));
  const [edge] = whole.edges;
  const [shield] = whole.shields;
  const bytes = storeBytes(whole.memory, { workers: 1, isSupervised: false, hasDisk: false });
  const ofEdge = withStoreBytes(whole, edge as NonNullable<typeof edge>);
  t.equal(ofEdge.edges[0]?.memory, bytes);
  t.equal(ofEdge.shields[0]?.memory, undefined);
  t.equal(withStoreBytes(whole, shield as NonNullable<typeof shield>).shields[0]?.memory, bytes);
});

for (const workers of [1, 2]) {
  test(`the store of an edge with ${workers} workers has what its process leaves`, async (t) => {
    const origin = await startOrigin(text('hello'));
    t.teardown(() => origin.close());
    const { control } = await startEdge(t, origin.url, { workers });
    const store = storeBytes(256 * MIB, { workers, isSupervised: workers > 1, hasDisk: false });
    t.equal(await metric(control, 'seawall_cache_limit_bytes'), store);
  });
}
