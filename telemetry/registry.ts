/**
 * Registry of a node's metrics, with those that every node has.
 * @module
 */
import { collectDefaultMetrics, Registry } from 'prom-client';
import { NODE_INTERNALS } from '../http/node-internals/checks.ts';
import { VERSION } from '../lib/version.ts';
import { gauges } from './instruments.ts';
import type { MetricRole } from './metric-table.ts';

/** Returns a registry with the labels of a node, and metrics of its process, versions and internals of Node.js. */
export function nodeRegistry(node: string, role: MetricRole): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ node, role });
  collectDefaultMetrics({ register: registry });
  gauges(registry, 'seawall_build_info', () => [[{ version: VERSION, node_version: process.versions.node }, 1]]);
  gauges(registry, 'seawall_node_internals', () =>
    NODE_INTERNALS.map(({ name: feature, isInUse }) => [{ feature }, isInUse ? 1 : 0] as const),
  );
  return registry;
}
