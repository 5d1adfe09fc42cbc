/**
 * Routes for edges and shields: read the journal, append to it, report progress.
 * @module
 */
import type { FastifyInstance } from 'fastify';
import { NETWORK_PATH } from '../geo/wire.ts';
import { MAX_WHO_LENGTH } from '../journal/check.ts';
import type { Journal } from '../journal/journal.ts';
import { readReports } from '../journal/reports.ts';
import { streamJournal } from '../journal/stream.ts';
import {
  APPLIED_PATH,
  appendedAnswer,
  JOURNAL_CONTENT_TYPE,
  JOURNAL_PATH,
  PURGES_PATH,
  readNodeField,
  readPurges,
} from '../journal/wire.ts';
import { monotonicNow } from '../lib/clock.ts';
import type { Logger } from '../telemetry/log.ts';
import type { AuditLog } from './audit.ts';
import { ApiError } from './errors.ts';
import type { Progress } from './progress.ts';
import type { Purges } from './purges.ts';
import type { Regions } from './regions.ts';
import { MAX_PURGE_BODY_BYTES } from './schemas.ts';

export interface NodeParts {
  readonly journal: Journal;
  readonly purges: Purges;
  readonly audit: AuditLog;
  readonly progress: Progress;
  readonly regions: Regions;
  readonly secret: () => string;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

export function addNodeRoutes(server: FastifyInstance, parts: NodeParts): void {
  const { journal, purges, audit, progress, regions, secret, signal, log } = parts;
  server.get(JOURNAL_PATH, async ({ raw }, reply) => {
    const node = readNodeField(raw.rawHeaders, secret());
    reply.hijack();
    const disconnected = progress.connected(node);
    regions.noticed(node);
    await streamJournal(journal, raw, reply.raw, {
      secret: secret(),
      signal,
      problem: (error) => log.warn({ node, detail: error.message }, 'a node was cut off the journal'),
    });
    disconnected();
    if (!signal.aborted) regions.noticed(node);
  });
  server.get(NETWORK_PATH, async ({ raw }, reply) => {
    readNodeField(raw.rawHeaders, secret());
    if (!regions.follow(reply.raw)) throw new ApiError('rate_limited', { detail: 'Too many follow the network.' });
    reply.hijack();
  });
  void server.register(async (scope) => {
    scope.removeAllContentTypeParsers(); // the body is read as it comes
    scope.addContentTypeParser(JOURNAL_CONTENT_TYPE, (_request, lines, done) => done(null, lines));
    scope.post(APPLIED_PATH, {
      async onRequest({ raw }) {
        readNodeField(raw.rawHeaders, secret());
      },
      async handler({ raw }, reply) {
        const isWhole = await readReports(raw, (report) => progress.report(report), signal);
        return isWhole ? reply.code(204).send() : reply.hijack();
      },
    });
  });
  // For an origin that names groups, or somebody whom a site lets send PURGE.
  server.post(PURGES_PATH, {
    bodyLimit: MAX_PURGE_BODY_BYTES,
    async onRequest({ raw }) {
      readNodeField(raw.rawHeaders, secret());
    },
    async handler({ body, raw, ip }, reply) {
      const asked = readPurges(body);
      const who = `${readNodeField(raw.rawHeaders, secret())}: ${asked[0].who}`.slice(0, MAX_WHO_LENGTH);
      const selectors = asked.map(({ site, kind, selector }) => ({ site, kind, selector }));
      audit.write({ who, address: ip, action: 'purge', result: 'ok', selectors });
      const { soft, why: reason } = asked[0];
      const { purge } = await purges.make({ selectors, soft, who, reason, startedAt: monotonicNow() });
      return reply.send(appendedAnswer(journal.state(), purge));
    },
  });
}
