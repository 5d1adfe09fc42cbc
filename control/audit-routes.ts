/**
 * The address of the audit log, as a table like that of purges (routes.ts).
 * @module
 */
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
          action: z.string().meta({ description: '`purge`, `drain`, `undrain`, `authenticate`.' }),
          result: z.string().meta({ description: '`ok`, or the code of the error.' }),
        }),
      )
      .meta({ description: 'Newest first.' }),
    next: z.string().nullable().meta({ description: 'Cursor of the next page; null on the last one.' }),
  })
  .meta({ id: 'AuditPage', title: 'AuditPage' });

export function auditRoutes(audit: AuditLog): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/audit',
      summary: 'Who has purged and drained what, or was refused; of all control nodes.',
      token: true,
      query: querySchema,
      responses: { 200: { description: 'A page.', schema: pageSchema }, 400: PROBLEM, ...REFUSALS, 503: PROBLEM },
      async handle({ caller: { token }, query }) {
        if (!token.read || !maySite(token, ALL_SITES)) {
          throw new ApiError('forbidden', {
            detail: 'This token may not read the audit log; use one that was made with --all-sites --read.',
          });
        }
        const { cursor, limit } = validQuery(querySchema, query);
        const rows = await audit.read(cursor, Number(limit));
        const next = rows.length < Number(limit) ? null : (rows.at(-1)?.id ?? null);
        return { entries: rows.map(({ entry }) => entry), next };
      },
    },
  ];
}
