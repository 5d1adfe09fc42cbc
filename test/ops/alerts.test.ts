/**
 * Alerts, their runbook and the dashboard, against the table of metrics. Whether they fire is tested by
 * `npm run test:prometheus`, with Prometheus itself.
 */
import { readFileSync } from 'node:fs';
import { test } from 'tap';
import { METRICS, type MetricEntry } from '../../telemetry/metric-table.ts';
import { alerts, metricsIn, queries, RUNBOOK, titlesOfRuleTests } from './queries.ts';

const TABLE: Readonly<Record<string, MetricEntry>> = METRICS;

/** Labels that Prometheus or every node adds. */
const COMMON = ['job', 'instance', 'node', 'role', 'le'];

test('queries name only metrics and labels that exist', async (t) => {
  const all = queries();
  t.ok(all.length > 60, 'queries were found');
  const unknown = all.flatMap(({ from, expr }) =>
    metricsIn(expr)
      .filter(({ name }) => name.startsWith('seawall_'))
      .flatMap(({ name, labels }) => {
        const entry = TABLE[name] ?? TABLE[name.replace(/_(?:bucket|sum|count)$/, '')];
        if (entry === undefined) return [`${from}: ${name}`];
        return labels
          .filter((label) => !COMMON.includes(label) && !(label in entry.labels))
          .map((label) => `${from}: ${name}{${label}}`);
      }),
  );
  t.strictSame(unknown, []);
});

test('each alert has a section in the runbook, in the same order, and a link to it', async (t) => {
  const sections = [...readFileSync(RUNBOOK, 'utf8').matchAll(/^## (\w+)\n(.*?)(?=^## |(?![\s\S]))/gms)];
  t.strictSame(
    sections.map(([, name]) => name),
    alerts().map(({ alert }) => alert),
  );
  for (const [, name = '', text = ''] of sections) {
    t.match(text, /\*\*Means\*\*: .*\*\*Look at\*\*: .*\*\*Do\*\*: /s, name);
  }
  for (const { alert, annotations } of alerts()) {
    t.equal(annotations.runbook, `docs/runbook.md#${alert.toLowerCase()}`);
  }
});

test('each alert is for a page or a ticket', async (t) => {
  t.strictSame(
    alerts().filter(({ labels }) => !['page', 'ticket'].includes(labels.severity)),
    [],
  );
});

test('each alert has a unit test in which it fires, and one in which it stays silent', async (t) => {
  t.strictSame(
    titlesOfRuleTests(),
    alerts().flatMap(({ alert }) => [`${alert} stays silent`, `${alert} fires`]),
  );
});
