/**
 * The counters of the control node, read by Prometheus.
 * @module
 */
import type { Counter, Histogram, Registry } from 'prom-client';
import type { JournalState } from '../journal/journal.ts';
import { counter, gauge, gauges, histogram } from '../telemetry/instruments.ts';
import { nodeRegistry } from '../telemetry/registry.ts';
import type { ApiErrorCode } from './errors.ts';
import type { NodeProgress } from './progress.ts';
import type { Dialect } from './purge-api.ts';
import type { Selector } from './selectors.ts';

/** State that is read at each scrape. */
export interface Observed {
  readonly journal: () => JournalState;
  readonly isWritable: () => boolean;
  /** False while the audit log is not signed. */
  readonly auditFits: () => boolean;
  readonly nodes: () => readonly NodeProgress[];
}

export class ControlMetrics {
  readonly registry: Registry;
  readonly #purges: Counter<'dialect'>;
  readonly #selectors: Counter<'kind'>;
  readonly #refusals: Counter<'code' | 'dialect'>;
  readonly #everywhere: Histogram;

  constructor(node: string, { journal, isWritable, auditFits, nodes }: Observed) {
    const registry = nodeRegistry(node, 'control');
    this.registry = registry;
    this.#purges = counter(registry, 'seawall_purges_total');
    this.#selectors = counter(registry, 'seawall_purge_selectors_total');
    this.#refusals = counter(registry, 'seawall_purge_refusals_total');
    this.#everywhere = histogram(registry, 'seawall_purge_applied_seconds');
    gauge(registry, 'seawall_journal_newest', () => journal().newest);
    gauge(registry, 'seawall_journal_floor', () => journal().floor);
    gauge(registry, 'seawall_journal_writable', () => (isWritable() ? 1 : 0));
    gauge(registry, 'seawall_audit_log_signed', () => (auditFits() ? 1 : 0));
    const perNode = (read: (node: NodeProgress) => number) => () =>
      nodes().map((node) => [{ region: node.region, member: node.name, member_role: node.role }, read(node)] as const);
    gauges(
      registry,
      'seawall_node_connected',
      perNode(({ connected }) => (connected ? 1 : 0)),
    );
    gauges(
      registry,
      'seawall_node_applied',
      perNode(({ seq }) => seq),
    );
    gauges(
      registry,
      'seawall_node_lag_records',
      perNode(({ seq }) => Math.max(0, journal().newest - seq)),
    );
  }

  purged(selectors: readonly Selector[], dialect: Dialect): void {
    this.#purges.inc({ dialect });
    for (const { kind } of selectors) this.#selectors.inc({ kind });
  }

  refused(code: ApiErrorCode, dialect: Dialect): void {
    this.#refusals.inc({ code, dialect });
  }

  appliedEverywhere(ms: number): void {
    this.#everywhere.observe(ms / 1_000);
  }
}
