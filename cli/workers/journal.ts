/**
 * The journal of an edge of several processes in a network without a control
 * node: what one worker purges, the others hear of. It is in memory and ends
 * with the edge, as does everything that is stored.
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import type { LimitsConfig } from '../../config/schema.ts';
import { compactRegularly } from '../../control/compaction.ts';
import { Progress } from '../../control/progress.ts';
import { HttpError } from '../../http/errors.ts';
import { listen } from '../../http/listener.ts';
import { openEmbeddedJournal } from '../../journal/embedded.ts';
import { JournalError } from '../../journal/errors.ts';
import { readReports } from '../../journal/reports.ts';
import { streamJournal } from '../../journal/stream.ts';
import {
  APPLIED_PATH,
  appendedAnswer,
  JOURNAL_PATH,
  PURGES_PATH,
  readNodeField,
  readPurges,
} from '../../journal/wire.ts';
import { monotonicNow, wallNow } from '../../lib/clock.ts';
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
const MAX_BODY_BYTES = 4 * 2 ** 20;
const RETENTION = { retentionMs: 30 * 86_400_000, maxRecords: 100_000 };

export async function startWorkerJournal(options: WorkerJournalOptions): Promise<WorkerJournal> {
  const { region, edge, secret, limits, log } = options;
  const journal = openEmbeddedJournal(':memory:', { now: wallNow });
  const progress = new Progress([{ region, name: edge, role: 'edge' }], {
    journal: () => journal.state(),
    monotonic: () => monotonicNow(),
    now: wallNow,
  });
  const closing = new AbortController();
  const { signal } = closing;

  const handlers: Record<string, (request: IncomingMessage, response: ServerResponse) => Promise<void>> = {
    [`GET ${JOURNAL_PATH}`]: async (request, response) => {
      const disconnected = progress.connected(readNodeField(request.rawHeaders, secret()));
      await streamJournal(journal, request, response, { secret: secret(), signal });
      disconnected();
    },
    [`POST ${APPLIED_PATH}`]: async (request, response) => {
      readNodeField(request.rawHeaders, secret());
      if (await readReports(request, (report) => progress.report(report), signal)) response.writeHead(204).end();
    },
    [`POST ${PURGES_PATH}`]: async (request, response) => {
      readNodeField(request.rawHeaders, secret());
      if (Number(request.headers['content-length'] ?? MAX_BODY_BYTES + 1) > MAX_BODY_BYTES) {
        throw new HttpError('body_too_large');
      }
      const appended = await journal.append(readPurges(await json(request)));
      await progress.whenComplete(appended.last, EVERYWHERE_MS);
      const answer = appendedAnswer(journal.state(), appended);
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
    },
  };

  const listener = await listen({
    address: '127.0.0.1:0',
    limits,
    onRequest: ({ request, response }) => {
      const handle = handlers[`${request.method} ${request.url?.split('?')[0]}`];
      if (handle === undefined) response.writeHead(404).end();
      else
        handle(request, response).catch((error: unknown) => {
          if (!(error instanceof HttpError || error instanceof JournalError))
            log.error({ err: error }, 'a worker’s call failed');
          if (response.headersSent) response.destroy();
          else response.writeHead(error instanceof HttpError ? error.status : 400).end();
        });
    },
  });
  const stopCompaction = compactRegularly(() => ({ journal, ...RETENTION, now: wallNow }), log);
  return {
    url: `http://${listener.address}`,
    async close() {
      closing.abort();
      await listener.close();
      await stopCompaction();
      await journal.close();
    },
  };
}
