/**
 * The address by which an operator has a node forgotten, as a table like that of purges (routes.ts).
 * @module
 */
import { z } from 'zod';
import { quote } from '../config/problem.ts';
import type { AuditLog } from './audit.ts';
import { ApiError } from './errors.ts';
import { LEASE_MS, type Members } from './members.ts';
import type { Caller } from './purge-api.ts';
import { PROBLEM, REFUSALS, type Route } from './routes.ts';
import { ALL_SITES, DRAIN, maySite } from './tokens.ts';

const forgottenSchema = z
  .strictObject({ forgotten: z.string().meta({ description: 'Name of the node.' }) })
  .meta({ id: 'ForgottenNode', title: 'ForgottenNode' });

export function memberRoutes(members: Members, audit: AuditLog): Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/nodes/:name/forget',
      summary: 'Forget a node that is gone: receipts wait for it no more, until it comes back.',
      token: true,
      params: { name: 'Name of the node.' },
      responses: {
        200: { description: 'It is forgotten.', schema: forgottenSchema },
        400: PROBLEM,
        ...REFUSALS,
        404: PROBLEM,
        409: PROBLEM,
        503: PROBLEM,
      },
      async handle({ caller, params }) {
        const { name } = params as { name: string };
        const { token, address } = caller;
        const note = (result: string) =>
          audit.write({
            who: token.name,
            token: token.id,
            address,
            action: 'forget node',
            result,
            member: name.slice(0, 200),
          });
        try {
          checkMayForget(caller);
          await forget(members, name);
          await note('ok');
          return { forgotten: name };
        } catch (error) {
          await note(error instanceof ApiError ? error.code : 'internal');
          throw error;
        }
      },
    },
  ];
}

/** @throws {ApiError} `not_found`, `node_present`. */
async function forget(members: Members, name: string): Promise<void> {
  switch (await members.forget(name)) {
    case 'not_found':
      throw new ApiError('not_found', { detail: `There is no node ${quote(name)}.` });
    case 'present':
      throw new ApiError('node_present', {
        detail: `Stop ${name} first; it counts as there for ${LEASE_MS / 1_000} s after it was heard last.`,
      });
    case 'forgotten':
  }
}

function checkMayForget({ token }: Caller): void {
  if (token.kinds.includes(DRAIN) && maySite(token, ALL_SITES)) return;
  throw new ApiError('forbidden', {
    detail: 'This token may not have nodes forgotten; use one that was made with --all-sites --kind drain.',
  });
}
