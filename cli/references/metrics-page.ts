/**
 * docs/metrics.md: every metric, by the roles of nodes that have it.
 * @module
 */
import { paragraph } from '../../lib/markdown.ts';
import { METRICS, type MetricEntry, type MetricRole } from '../../telemetry/metric-table.ts';
import { NOTE } from './markdown.ts';

interface Group {
  readonly title: string;
  readonly about: string;
  readonly has: (roles: readonly MetricRole[]) => boolean;
}

const isOfEveryNode = (roles: readonly MetricRole[]): boolean => roles.includes('edge') && roles.includes('dns');

const GROUPS: readonly Group[] = [
  { title: 'Every node', about: 'Where the metrics of its role are.', has: isOfEveryNode },
  {
    title: 'Edges and shields',
    about: 'At `control` of the node. An edge of several workers answers for all of them.',
    has: (roles) => roles.includes('edge') && roles.includes('shield') && !isOfEveryNode(roles),
  },
  {
    title: 'Edges',
    about: 'At `control` of the edge. An edge of one worker has no metrics of workers.',
    has: (roles) => roles.includes('edge') && !roles.includes('shield'),
  },
  {
    title: 'The control node',
    about: 'At `control.listen`.',
    has: (roles) => roles.includes('control') && !isOfEveryNode(roles),
  },
  { title: 'DNS servers', about: 'At `dns.control`.', has: (roles) => roles.includes('dns') && !isOfEveryNode(roles) },
];

export function metricsPage(): string {
  const entries: [string, MetricEntry][] = Object.entries(METRICS);
  const groups = GROUPS.flatMap(({ title, about, has }) => [
    `## ${title}`,
    '',
    about,
    '',
    ...entries.filter(([, { roles }]) => has(roles)).flatMap(([name, entry]) => entryLines(name, entry)),
  ]);
  return [
    NOTE,
    '',
    '# Metrics',
    '',
    '`GET /metrics` of each control listener answers in the text format of Prometheus. Every metric has the labels `node`',
    'and `role`. [Operating](operating.md#metrics) has queries to begin with.',
    '',
    'Beside these stand those of the process, as `prom-client` names them: `process_cpu_seconds_total`,',
    '`process_resident_memory_bytes`, `nodejs_eventloop_lag_p99_seconds` (above 0.05: the process lacks CPU time),',
    '`nodejs_gc_duration_seconds` and `nodejs_heap_size_used_bytes`.',
    '',
    ...groups,
  ].join('\n');
}

function entryLines(name: string, { type, labels, help, watch, buckets }: MetricEntry): string[] {
  const labelled = Object.entries(labels).flatMap(([label, meaning]) => paragraph(`- \`${label}\`: ${meaning}`, '  '));
  return [
    `### \`${name}\``,
    '',
    `${type[0]?.toUpperCase()}${type.slice(1)}. ${help}`,
    '',
    ...(labelled.length > 0 ? [...labelled, ''] : []),
    ...(buckets === undefined
      ? []
      : [...paragraph(`Upper bounds of the buckets, in seconds: ${buckets.join(', ')}.`), '']),
    ...paragraph(`When to worry: ${watch}`),
    '',
  ];
}
