/**
 * The addresses about regions, as a table like that of purges (routes.ts).
 * @module
 */
import { z } from 'zod';
import { quote } from '../config/problem.ts';
import { REGION_STATES, STEERING_REASONS } from '../geo/steering.ts';
import { parseAddress } from '../lib/address.ts';
import type { AuditLog } from './audit.ts';
import { ApiError } from './errors.ts';
import type { Caller } from './purge-api.ts';
import type { Regions } from './regions.ts';
import { PROBLEM, REFUSALS, type Route } from './routes.ts';
import { ALL_SITES, DRAIN, maySite } from './tokens.ts';
import { validBody, validQuery } from './validate.ts';

const whereQuerySchema = z.strictObject({
  address: z
    .string()
    .min(2)
    .max(45)
    .meta({ title: 'an IP address', examples: ['192.0.2.7', '2001:db8::7'], description: 'Of the visitor.' }),
});

const drainSchema = z
  .strictObject({
    reason: z.string().max(200).default('').meta({ description: 'Stored with the drain, and shown in the list.' }),
  })
  .meta({ id: 'DrainRequest', title: 'DrainRequest' });

const nameOfRegion = z.string().meta({ description: 'Name of the region.' });
const km = z.number().nullable();

const regionSchema = z
  .strictObject({
    name: nameOfRegion,
    state: z
      .enum(['healthy', 'drained', 'down', 'recovering'])
      .meta({ description: 'Whether it takes visitors, or why not.' }),
    drain: z
      .strictObject({
        source: z.enum(['api', 'config']).meta({ description: 'Whether a call or the region’s file says so.' }),
        by: z.string().optional().meta({ description: 'Name and id of the token.' }),
        since: z.iso.datetime().optional().meta({ description: 'When it was drained.' }),
        reason: z.string().optional().meta({ description: 'As it was given.' }),
      })
      .nullable()
      .meta({ description: 'Caller that drained it; null where it is not drained.' }),
    healthy_in_ms: z.number().nullable().meta({ description: 'Until it takes visitors again, if it stays up.' }),
    shed: z.number().meta({ description: 'Share of its visitors that go elsewhere, as it has too much to do.' }),
    edges: z
      .array(
        z.strictObject({
          name: z.string().meta({ description: 'Name of the edge.' }),
          up: z.boolean().meta({ description: 'Whether it answers.' }),
        }),
      )
      .meta({ description: 'The edges of the region.' }),
  })
  .meta({ id: 'Region', title: 'Region' });

const whereSchema = z
  .strictObject({
    address: z.string().meta({ description: 'In canonical form.' }),
    kind: z.string().meta({ description: '`public`, or what the address is for.' }),
    place: z.looseObject({}).nullable().meta({ description: 'Where it is; null where that is not known.' }),
    region: z.string().nullable().meta({ description: 'The region that answers.' }),
    reason: z.enum(STEERING_REASONS).meta({ description: 'Why this one.' }),
    because: z.string().meta({ description: 'The reason in words.' }),
    prefix: z.number().int().meta({ description: 'Leading bits of the address that the answer holds for.' }),
    order: z
      .array(
        z.strictObject({
          region: nameOfRegion,
          state: z.enum(REGION_STATES).meta({ description: 'As this visitor sees it.' }),
          distance_km: km.meta({ description: 'Great-circle distance.' }),
          weight: z.number().meta({ description: 'Of the region.' }),
          counts_as_km: km.meta({ description: 'The distance divided by the weight.' }),
          pin: z.enum(['country', 'continent']).nullable().meta({ description: 'Which pin brings the visitor there.' }),
          is_default: z.boolean().meta({ description: 'Whether visitors of unknown location are sent there.' }),
          edges_up: z.number().int().meta({ description: 'Edges that answer.' }),
          edges: z.number().int().meta({ description: 'Edges that there are.' }),
          coordinates: z.tuple([z.number(), z.number()]).nullable().meta({ description: 'Latitude and longitude.' }),
          addresses: z.array(z.string()).meta({ description: 'Of the edges that answer.' }),
        }),
      )
      .meta({ description: 'All regions, best first.' }),
    sources: z.array(z.string()).meta({ description: 'Where the place is from.' }),
  })
  .meta({ id: 'Where', title: 'Where' });

const listSchema = z.strictObject({
  regions: z.array(regionSchema).meta({ description: 'In the order of the files.' }),
});

export function regionRoutes(regions: Regions, audit: AuditLog): Route[] {
  const drainRoute = (action: 'drain' | 'undrain', summary: string): Route => ({
    method: 'POST',
    path: `/v1/regions/:name/${action}`,
    summary,
    token: true,
    params: { name: 'Name of the region.' },
    ...(action === 'drain' && { body: drainSchema, isBodyOptional: true }),
    responses: {
      200: { description: 'The region, as it is now.', schema: regionSchema },
      400: PROBLEM,
      ...REFUSALS,
      404: PROBLEM,
      415: PROBLEM,
      503: PROBLEM,
    },
    async handle({ caller, params, body }) {
      const { name } = params as { name: string };
      const { token, address } = caller;
      const note = (result: string) =>
        audit.write({ who: token.name, token: token.id, address, action, result, region: name.slice(0, 200) });
      try {
        checkMayDrain(caller);
        const { reason } = validBody(drainSchema, body ?? {});
        const by = `${token.name} (${token.id})`;
        const drain = action === 'drain' ? { by, since: new Date().toISOString(), reason } : undefined;
        const region = (await regions.drain(name, drain)) ? regions.list().find((one) => one.name === name) : undefined;
        if (region === undefined) throw new ApiError('not_found', { detail: `There is no region ${quote(name)}.` });
        await note('ok');
        return region;
      } catch (error) {
        await note(error instanceof ApiError ? error.code : 'internal');
        throw error;
      }
    },
  });
  return [
    {
      method: 'GET',
      path: '/v1/regions',
      summary: 'The regions, and how they are.',
      token: false,
      responses: { 200: { description: 'All of them.', schema: listSchema } },
      async handle() {
        return { regions: regions.list() };
      },
    },
    drainRoute('drain', 'Send no new visitors to a region; those that it has may stay.'),
    drainRoute('undrain', 'Let visitors come back to a region that a call has drained.'),
    {
      method: 'GET',
      path: '/v1/where',
      summary: 'Where a visitor would go, why, and what comes next.',
      token: false,
      query: whereQuerySchema,
      responses: { 200: { description: 'The decision.', schema: whereSchema }, 400: PROBLEM },
      async handle(request) {
        const { address } = validQuery(whereQuerySchema, request.query);
        if (parseAddress(address) === undefined) {
          throw new ApiError('invalid_request', {
            errors: [
              {
                parameter: 'address',
                detail: `expected an IP address such as 192.0.2.7 or 2001:db8::7, found ${quote(address)}`,
                fix: 'Names are not looked up; send an address.',
              },
            ],
          });
        }
        return regions.where(address);
      },
    },
  ];
}

/** A region serves all sites, so only a token for all of them may do it. */
function checkMayDrain({ token }: Caller): void {
  if (token.kinds.includes(DRAIN) && maySite(token, ALL_SITES)) return;
  throw new ApiError('forbidden', {
    detail: 'This token may not drain regions; use one that was made with --all-sites --kind drain.',
  });
}
