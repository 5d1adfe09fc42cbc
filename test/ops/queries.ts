/**
 * Queries for Prometheus that users are given: alerts, panels of the dashboard, and blocks of the documents.
 * @module
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const ROOT = join(import.meta.dirname, '../..');

export const RULES = join(ROOT, 'ops/prometheus/alerts.yaml');
export const RULE_TESTS = join(ROOT, 'ops/prometheus/alerts.test.yaml');
export const SCRAPES = join(ROOT, 'ops/prometheus/prometheus.yaml');
export const RUNBOOK = join(ROOT, 'docs/runbook.md');

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

export interface Query {
  /** Place of the query, for messages. */
  readonly from: string;
  readonly expr: string;
}

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

export function alerts(): readonly Alert[] {
  const { groups } = parse(readFileSync(RULES, 'utf8')) as { groups: readonly { rules: readonly Alert[] }[] };
  return groups.flatMap(({ rules }) => rules);
}

/** Returns the titles of the unit tests of the alerts. */
export function titlesOfRuleTests(): readonly string[] {
  const { tests } = parse(readFileSync(RULE_TESTS, 'utf8')) as { tests: readonly { name: string }[] };
  return tests.map(({ name }) => name);
}

/** Returns all queries, with values for what Grafana fills in. */
export function queries(): readonly Query[] {
  return [
    ...alerts().map(({ alert, expr }) => ({ from: alert, expr })),
    ...globSync('ops/grafana/*.json', { cwd: ROOT }).flatMap(queriesOfPanels),
    ...globSync('{README,docs/**/*}.md', { cwd: ROOT }).flatMap(queriesOfPage),
  ];
}

function queriesOfPanels(file: string): readonly Query[] {
  const { panels } = JSON.parse(readFileSync(join(ROOT, file), 'utf8')) as { panels: readonly Panel[] };
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({
      from: `${file}: ${title}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$site', '.*'),
    })),
  );
}

/** Takes blocks marked `promql`, in which an empty line separates queries, and queries in a line that begin as such. */
function queriesOfPage(file: string): readonly Query[] {
  const page = readFileSync(join(ROOT, file), 'utf8');
  const blocks = [...page.matchAll(/^```promql\n(.*?)^```/gms)].flatMap(([, block = '']) => block.split('\n\n'));
  const inline = [...page.matchAll(/`((?:topk|sum|rate|histogram_quantile)\b[^`]*\([^`]*)`/g)].map(
    ([, expr = '']) => expr,
  );
  return [...blocks, ...inline].map((expr) => ({ from: file, expr }));
}

/** Returns the names of the metrics in a query, with the labels that it selects by, or that it keeps. */
export function metricsIn(expr: string): readonly { readonly name: string; readonly labels: readonly string[] }[] {
  return [...expr.matchAll(/\b((?:seawall|process|nodejs)_\w+|up)\b(?:\{([^}]*)\})?/g)].map(
    ([, name = '', matchers]) => ({
      name,
      labels: [...(matchers ?? '').matchAll(/(\w+)(?:=~|!~|!=|=)"/g)].map(([, label = '']) => label),
    }),
  );
}
