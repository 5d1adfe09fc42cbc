/**
 * The journal of an edge of several processes in a network without a control
 * node: what one worker purges, the others hear of. It is in memory and ends
 * with the edge, as does everything that is stored.
 * @module
 */
import type { LimitsConfig } from '../../config/schema.ts';
import { compactRegularly } from '../../control/compaction.ts';
import { Progress } from '../../control/progress.ts';
import { type Listener, listen } from '../../http/listener/listener.ts';
import { openEmbeddedJournal } from '../../journal/embedded.ts';
import { journalRoutes, serveRoutes } from '../../journal/routes.ts';
import { monotonicNow, wallNow } from '../../lib/clock.ts';
import { Components } from '../../lib/components.ts';
import type { Logger } from '../../telemetry/log.ts';

export interface WorkerJournalOptions {
  readonly region: string;
  readonly edge: string;
  readonly secret: () => string;
  readonly limits: LimitsConfig;
  readonly log: Logger;
}

export interface WorkerJournal {
  /** For `purges.journal`. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Maximum time that a purge waits for workers that have not applied it: a worker that has just died holds no responses.
 */
const EVERYWHERE_MS = 2_000;
const RETENTION = { retentionMs: 30 * 86_400_000, maxRecords: 100_000 };

export async function startWorkerJournal(options: WorkerJournalOptions): Promise<WorkerJournal> {
  const { region, edge, secret, limits, log } = options;
  const components = new Components<never>();
  const journal = await components.start('journal', () => openEmbeddedJournal(':memory:', { now: wallNow }));
  const progress = new Progress([{ region, name: edge, role: 'edge' }], {
    journal: () => journal.state(),
    monotonic: monotonicNow,
    now: wallNow,
  });
  await components.start('compaction', () => compactRegularly(() => ({ journal, ...RETENTION, now: wallNow }), log), {
    close: (stop) => stop(),
  });
  const closing = await components.start('calls', () => new AbortController(), { drain: (part) => part.abort() });
  const { signal } = closing;

  const routes = journalRoutes({
    journal,
    secret,
    signal,
    followed: (node) => progress.connected(node),
    reported: (report) => progress.report(report),
    async append(purges) {
      const appended = await journal.append(purges);
      await progress.whenComplete(appended.last, EVERYWHERE_MS);
      return appended;
    },
  });
  const answer = serveRoutes(routes, (error) => log.error({ err: error }, 'a call of a worker failed'));
  const { listener } = await components.listen(
    {
      listener: (started) =>
        listen(started, {
          address: '127.0.0.1:0',
          limits,
          onRequest: ({ request, response }) => answer(request, response),
        }),
    },
    { update: () => undefined, close: (part: Listener) => part.close() },
  );
  return { url: `http://${listener.address}`, close: () => components.close() };
}
