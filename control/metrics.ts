/**
 * The counters of the control node, read by Prometheus.
 * @module
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { JournalState } from '../journal/journal.ts';
import { gauge } from '../telemetry/gauge.ts';
import type { ApiErrorCode } from './errors.ts';
import type { NodeProgress } from './progress.ts';
import type { Dialect } from './purge-api.ts';
import type { Selector } from './selectors.ts';

/** State that is read at each scrape. */
export interface Observed {
  readonly journal: () => JournalState;
  readonly isWritable: () => boolean;
  readonly nodes: () => readonly NodeProgress[];
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export class ControlMetrics {
  readonly registry = new Registry();
  readonly #purges: Counter<'dialect'>;
  readonly #selectors: Counter<'kind'>;
  readonly #refusals: Counter<'code' | 'dialect'>;
  readonly #everywhere: Histogram;

  constructor(node: string, { journal, isWritable, nodes }: Observed) {
    const { registry } = this;
    registry.setDefaultLabels({ node, role: 'control' });
    collectDefaultMetrics({ register: registry });
    const registers = [registry];
    this.#purges = new Counter({
      name: 'seawall_purges_total',
      help: 'Purges appended to the journal, by dialect.',
      labelNames: ['dialect'],
      registers,
    });
    this.#selectors = new Counter({
      name: 'seawall_purge_selectors_total',
      help: 'Selectors appended to the journal, by kind.',
      labelNames: ['kind'],
      registers,
    });
    this.#refusals = new Counter({
      name: 'seawall_purge_refusals_total',
      help: 'Calls that were refused, by code.',
      labelNames: ['code', 'dialect'],
      registers,
    });
    this.#everywhere = new Histogram({
      name: 'seawall_purge_applied_seconds',
      help: 'From the call until every node had applied the purge.',
      buckets: SECONDS,
      registers,
    });
    gauge(registry, 'seawall_journal_newest', 'Highest number of the journal.', () => journal().newest);
    gauge(registry, 'seawall_journal_floor', 'Highest number that the journal has forgotten.', () => journal().floor);
    gauge(registry, 'seawall_journal_writable', 'Whether the last write to the journal succeeded.', () =>
      isWritable() ? 1 : 0,
    );
    perNode(registry, nodes, 'seawall_node_connected', 'Whether a node follows the journal.', ({ connected }) =>
      connected ? 1 : 0,
    );
    perNode(registry, nodes, 'seawall_node_applied', 'Number that a node has applied.', ({ seq }) => seq);
    perNode(registry, nodes, 'seawall_node_lag', 'Records that a node has not applied yet.', ({ seq }) =>
      Math.max(0, journal().newest - seq),
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

function perNode(
  registry: Registry,
  nodes: () => readonly NodeProgress[],
  name: string,
  help: string,
  read: (node: NodeProgress) => number,
): void {
  new Gauge({
    name,
    help,
    labelNames: ['region', 'member', 'member_role'],
    registers: [registry],
    collect() {
      this.reset(); // nodes that are not named any more go
      for (const node of nodes()) {
        this.set({ region: node.region, member: node.name, member_role: node.role }, read(node));
      }
    },
  });
}
