/**
 * Registry of a node's metrics, with those that every node has.
 * @module
 */
import { isMainThread } from 'node:worker_threads';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { NODE_INTERNALS } from '../http/node-internals/checks.ts';
import { VERSION } from '../lib/version.ts';
import { gauges } from './instruments.ts';
import type { MetricRole } from './metric-table.ts';

/** Prefix of the default metrics that are of the whole process; the others are of a thread's event loop and heap. */
const OF_THE_PROCESS = 'process_';

/** Metrics of the whole process, for the supervisor of several threads. */
export function collectProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  keepOnly(registry, (name) => name.startsWith(OF_THE_PROCESS));
}

function keepOnly(registry: Registry, isKept: (name: string) => boolean): void {
  for (const { name } of registry.getMetricsAsArray()) if (!isKept(name)) registry.removeSingleMetric(name);
}

/**
 * Returns a registry with the labels of a node, and metrics of its process, versions and internals of Node.js. One of
 * several threads leaves those of the process to the main thread.
 */
export function nodeRegistry(node: string, role: MetricRole): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ node, role });
  collectDefaultMetrics({ register: registry });
  if (!isMainThread) keepOnly(registry, (name) => !name.startsWith(OF_THE_PROCESS));
  gauges(registry, 'seawall_build_info', () => [[{ version: VERSION, node_version: process.versions.node }, 1]]);
  gauges(registry, 'seawall_node_internals', () =>
    NODE_INTERNALS.map(({ name: feature, isInUse }) => [{ feature }, isInUse ? 1 : 0] as const),
  );
  return registry;
}
