/**
 * Routes for edges and shields: read the journal, append to it, report progress.
 * @module
 */
import type { FastifyInstance } from 'fastify';
import { NETWORK_PATH } from '../geo/wire.ts';
import { MAX_WHO_LENGTH } from '../journal/check.ts';
import type { Journal } from '../journal/journal.ts';
import { type JournalRoute, journalRoutes } from '../journal/routes.ts';
import { monotonicNow } from '../lib/clock.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Authentication } from '../trust/authentication.ts';
import type { NodeIdentity } from '../trust/identity.ts';
import type { AuditLog } from './audit.ts';
import { ApiError } from './errors.ts';
import type { CallingNode, Members } from './members.ts';
import type { Progress } from './progress.ts';
import type { Purge, Purges } from './purges.ts';
import type { Regions } from './regions.ts';

export interface NodeParts {
  readonly journal: Journal;
  readonly purges: Purges;
  readonly audit: AuditLog;
  readonly progress: Progress;
  readonly members: Members;
  readonly regions: Regions;
  readonly authentication: Authentication;
  /** Names of the sites that a node with a certificate may purge: those of its region file. */
  readonly sitesOf: (node: NodeIdentity) => ReadonlySet<string>;
  /** Routes for jobs and traffic. */
  readonly further: readonly JournalRoute[];
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Selectors of an append that its audit entry names; the journal has them all. */
const MAX_NOTED = 10;

function roleOf(identity: NodeIdentity | undefined): CallingNode['role'] {
  return identity?.role === 'edge' || identity?.role === 'shield' ? identity.role : undefined;
}

function described({ name, role, region }: CallingNode): string {
  const parts = [role ?? 'node', JSON.stringify(name), ...(region === undefined ? [] : [`of the region ${region}`])];
  return `${parts.join(' ')}: no region file names it so`;
}

export function addNodeRoutes(server: FastifyInstance, parts: NodeParts): void {
  const { journal, purges, audit, progress, members, regions, authentication, sitesOf, further, signal, log } = parts;
  server.get(NETWORK_PATH, async ({ raw }, reply) => {
    authentication.permit(authentication.identify(raw.rawHeaders, raw.socket), 'read_network');
    if (!regions.follow(reply.raw)) throw new ApiError('rate_limited', { detail: 'Too many follow the network.' });
    reply.hijack();
  });
  const routes = journalRoutes({
    journal,
    authentication,
    signal,
    async followed(caller, { role, region, leaseMs }) {
      const { name, identity } = caller;
      if (identity?.role === 'admin') return () => undefined; // it is no node
      const node = { name, role: role ?? roleOf(identity), region: region ?? identity?.region };
      await members.refresh(); // without the store this control node goes by what it knows
      if (!members.isKnown(node)) throw authentication.refuse(caller, 'peer_unknown', described(node));
      await members.register(node, leaseMs);
      const disconnected = progress.connected(name);
      regions.noticed(name);
      return () => {
        disconnected();
        if (!signal.aborted) regions.noticed(name);
      };
    },
    reporting(caller) {
      if (!members.isKnown({ name: caller.name })) throw authentication.refuse(caller, 'peer_unknown', caller.name);
      return progress.reporting(caller.name);
    },
    reported: (report) => progress.report(report),
    // For an origin that names groups, or a visitor whom a site lets send PURGE.
    async append(asked, caller, address) {
      if (!members.isKnown({ name: caller.name })) {
        throw authentication.refuse(caller, 'peer_unknown', caller.name);
      }
      const { name: node, identity } = caller;
      const sites = identity && sitesOf(identity);
      const foreign = sites && asked.find(({ site }) => !sites.has(site));
      if (foreign !== undefined) throw authentication.refuse(caller, 'peer_wrong_site', foreign.site);
      const who = `${node}: ${asked[0].who}`.slice(0, MAX_WHO_LENGTH);
      const selectors = asked.map(({ site, kind, selector }) => ({ site, kind, selector }));
      const { soft, why: reason } = asked[0];
      const noted = selectors.slice(0, MAX_NOTED);
      const entryOf = ({ id }: Purge) =>
        audit.timed({ who, address, action: 'purge', result: 'ok', id, count: selectors.length, selectors: noted });
      const { purge } = await purges.make({
        selectors,
        soft,
        who,
        reason,
        startedAt: monotonicNow(),
        note: entryOf,
      });
      audit.copy(entryOf(purge));
      return purge;
    },
    cutOff: (node, error) => log.warn({ node, detail: error.message }, 'journal stream of a node closed'),
  });
  void server.register(async (scope) => {
    scope.removeAllContentTypeParsers(); // bodies are read by the routes
    scope.addContentTypeParser('*', (_request, body, done) => done(null, body));
    for (const { method, path: url, answer } of [...routes, ...further]) {
      scope.route({
        method,
        url,
        async handler({ raw }, reply) {
          reply.header('connection', 'close'); // of a refusal; an answer is written by the route
          await answer(raw, reply.raw);
          return reply.hijack();
        },
      });
    }
  });
}
