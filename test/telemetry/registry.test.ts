/** Registry of a node: labels on every metric, and which thread shows what of the process. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { Registry } from 'prom-client';
import { test } from 'tap';
import { VERSION } from '../../lib/version.ts';
import { collectProcessMetrics, nodeRegistry } from '../../telemetry/registry.ts';

const names = (registry: Registry): string[] => registry.getMetricsAsArray().map(({ name }) => name);

test('every sample has the node and its role, also where a metric has labels of its own', async (t) => {
  const text = await nodeRegistry('eu-1', 'shield').metrics();
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  t.ok(samples.length > 20);
  t.same(
    samples.filter((line) => !line.includes('node="eu-1"') || !line.includes('role="shield"')),
    [],
  );
  t.match(text, new RegExp(`seawall_build_info\\{.*version="${VERSION}".*\\} 1`));
  t.match(text, /seawall_node_internals\{.*feature="\w+.*\} [01]\n/);
});

test('a supervisor has the metrics of the process alone', async (t) => {
  const registry = new Registry();
  collectProcessMetrics(registry);
  const all = names(registry);
  t.ok(all.includes('process_cpu_seconds_total'));
  t.same(
    all.filter((name) => !name.startsWith('process_')),
    [],
  );
});

test('the main thread has those of the process, another one only its own: none is counted twice', async (t) => {
  t.ok(names(nodeRegistry('a', 'edge')).includes('process_cpu_seconds_total'));
  const source = new URL('../../telemetry/registry.ts', import.meta.url).href;
  const code = `import { parentPort } from 'node:worker_threads';
    const { nodeRegistry } = await import(${JSON.stringify(source)});
    parentPort.postMessage(nodeRegistry('a', 'edge').getMetricsAsArray().map(({ name }) => name));`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  const [inThread] = (await once(worker, 'message')) as [string[]];
  await worker.terminate();
  t.ok(inThread.includes('nodejs_eventloop_lag_seconds'));
  t.ok(inThread.includes('seawall_build_info'));
  t.same(
    inThread.filter((name) => name.startsWith('process_')),
    [],
  );
});
