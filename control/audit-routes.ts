/**
 * The address of the audit log, as a table like that of purges (routes.ts).
 * @module
 */
import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { AuditLog } from './audit.ts';
import { ApiError } from './errors.ts';
import { PROBLEM, REFUSALS, type Route } from './routes.ts';
import { ALL_SITES, maySite } from './tokens.ts';
import { validQuery } from './validate.ts';

const querySchema = z.strictObject({
  cursor: z
    .string()
    .regex(/^[\w.-]{1,100}$/)
    .optional()
    .meta({ title: 'a cursor', examples: ['117'], description: '`next` of the page before.' }),
  limit: z
    .string()
    .regex(/^(?:[1-9]\d{0,2}|1000)$/)
    .default('100')
    .meta({ title: 'a number from 1 to 1000', examples: ['100'], description: 'Entries on a page.' }),
});

const pageSchema = z
  .strictObject({
    entries: z
      .array(
        z.looseObject({
          time: z.iso.datetime().meta({ description: 'When it was written, by the clock of the control node.' }),
          node: z.string().meta({ description: 'Name of the control node.' }),
          action: z.string().meta({
            description:
              '`purge`, `drain`, `undrain`, `authenticate`, `create token`, `revoke token`, `migrate`, `sign`, `register node`, `forget node`, `version of node`, `config of node`, `certificate of node`, `revocation list of node`, `revocation list`, `authorities`.',
          }),
          result: z.string().meta({ description: '`ok`, or the code of the error.' }),
        }),
      )
      .meta({ description: 'Newest first.' }),
    next: z.string().nullable().meta({ description: 'Cursor of the next page; null on the last one.' }),
  })
  .meta({ id: 'AuditPage', title: 'AuditPage' });

const EXPORT_TYPE = 'application/x-ndjson';
/** c2sp.org/tlog-tiles, "Checkpoints": "with Content-Type: text/plain; charset=utf-8". */
const CHECKPOINT_TYPE = 'text/plain; charset=utf-8';

export function auditRoutes(audit: AuditLog): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/audit/checkpoint',
      summary: 'The newest signed checkpoint of the audit log (c2sp.org/tlog-checkpoint), to be kept elsewhere.',
      token: true,
      responses: { 200: { description: 'A signed note.', contentType: CHECKPOINT_TYPE }, ...REFUSALS, 503: PROBLEM },
      async handle({ caller, ip }, reply) {
        checkReader(caller);
        const checkpoint = await audit.checkpoint(ip);
        if (checkpoint === undefined) throw new ApiError('audit_unsigned');
        return reply.header('content-type', CHECKPOINT_TYPE).header('cache-control', 'no-store').send(checkpoint);
      },
    },
    {
      method: 'GET',
      path: '/v1/audit/export',
      summary: 'The audit log from its oldest entry on, as `seawall audit verify` reads it.',
      token: true,
      responses: { 200: { description: 'Lines of JSON.', contentType: EXPORT_TYPE }, ...REFUSALS, 503: PROBLEM },
      async handle({ caller }, reply) {
        checkReader(caller);
        const lines = Readable.from(audit.export(), { objectMode: false });
        return reply.header('content-type', EXPORT_TYPE).header('cache-control', 'no-store').send(lines);
      },
    },
    {
      method: 'GET',
      path: '/v1/audit',
      summary: 'Who has purged and drained what, or was refused; of all control nodes.',
      token: true,
      query: querySchema,
      responses: { 200: { description: 'A page.', schema: pageSchema }, 400: PROBLEM, ...REFUSALS, 503: PROBLEM },
      async handle({ caller, query }) {
        checkReader(caller);
        const { cursor, limit } = validQuery(querySchema, query);
        const rows = await audit.read(cursor, Number(limit));
        const next = rows.length < Number(limit) ? null : (rows.at(-1)?.id ?? null);
        return { entries: rows.map(({ entry }) => entry), next };
      },
    },
  ];
}

/** @throws {ApiError} `forbidden` */
function checkReader({ token }: FastifyRequest['caller']): void {
  if (token.read && maySite(token, ALL_SITES)) return;
  throw new ApiError('forbidden', {
    detail: 'This token may not read the audit log; use one that was made with --all-sites --read.',
  });
}
