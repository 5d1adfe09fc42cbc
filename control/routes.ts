/**
 * The control node's own addresses as a table: what each takes and answers.
 * Fastify is given them from here, and /openapi.json is made from here.
 * @module
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { PurgeApi } from './purge-api.ts';
import {
  dryRunSchema,
  listQuerySchema,
  MAX_PURGE_BODY_BYTES,
  pageSchema,
  problemSchema,
  purgeRequestSchema,
  receiptSchema,
} from './schemas.ts';
import { validQuery } from './validate.ts';

/** An answer, or part of one. */
export interface RouteResponse {
  readonly description: string;
  readonly schema?: z.ZodType;
  readonly contentType?: string;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  /** As Fastify writes it: `/v1/purges/:id`. */
  readonly path: string;
  readonly summary: string;
  /** True if the route needs a token. */
  readonly token: boolean;
  readonly body?: z.ZodType;
  /** True if the body may be absent. */
  readonly isBodyOptional?: boolean;
  readonly maxBodyBytes?: number;
  readonly query?: z.ZodObject;
  readonly params?: Readonly<Record<string, string>>;
  /** Request headers that count, with what they are for. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly responses: Readonly<Record<string, RouteResponse>>;
  handle(request: FastifyRequest, reply: FastifyReply): Promise<unknown>;
}

export const PROBLEM: RouteResponse = {
  description: 'What is wrong, and what to send instead (RFC 9457).',
  schema: problemSchema,
  contentType: 'application/problem+json',
};

/** Error responses that every route with a token can give. */
export const REFUSALS = { 401: PROBLEM, 403: PROBLEM, 429: PROBLEM } as const;

export function purgeRoutes(api: PurgeApi): Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/purges',
      summary: 'Purge URLs, tags, prefixes, patterns, hosts or everything: all that is named, or nothing.',
      token: true,
      body: purgeRequestSchema,
      maxBodyBytes: MAX_PURGE_BODY_BYTES,
      headers: {
        'Idempotency-Key':
          'A repetition with the same key and the same body purges nothing again and is answered with the same receipt, for a day.',
      },
      responses: {
        200: {
          description: 'Every node has applied it; or, of a dry run, what it would concern.',
          schema: z.union([receiptSchema, dryRunSchema]),
        },
        202: { description: 'It is in the journal; not every node has applied it yet.', schema: receiptSchema },
        400: PROBLEM,
        ...REFUSALS,
        413: PROBLEM,
        415: PROBLEM,
        422: PROBLEM,
        503: PROBLEM,
      },
      async handle(request, reply) {
        const answer = await api.purge(request.caller, request.body, idempotencyKey(request), clientAbortSignal(reply));
        if (answer.kind === 'dry_run') return answer.answer;
        const { receipt, repeated } = answer;
        reply.code(receipt.status === 'applied' ? 200 : 202).header('location', `/v1/purges/${receipt.id}`);
        if (repeated) reply.header('idempotent-replayed', 'true');
        return receipt;
      },
    },
    {
      method: 'GET',
      path: '/v1/purges',
      summary: 'The purges that the journal has, newest first.',
      token: true,
      query: listQuerySchema,
      responses: { 200: { description: 'A page.', schema: pageSchema }, 400: PROBLEM, ...REFUSALS, 503: PROBLEM },
      async handle(request) {
        const { cursor, limit } = validQuery(listQuerySchema, request.query);
        return api.page(request.caller, cursor === undefined ? undefined : Number(cursor), Number(limit));
      },
    },
    {
      method: 'GET',
      path: '/v1/purges/:id',
      summary: 'The receipt of a purge: which nodes have applied it, and how long each took.',
      token: true,
      params: { id: '`id` of the receipt.' },
      responses: {
        200: { description: 'The receipt.', schema: receiptSchema },
        404: PROBLEM,
        ...REFUSALS,
        503: PROBLEM,
      },
      async handle(request) {
        return api.receipt(request.caller, (request.params as { id: string }).id);
      },
    },
  ];
}

/** Returns the field Idempotency-Key. */
export function idempotencyKey({ headers }: FastifyRequest): string | undefined {
  const value = headers['idempotency-key'];
  return Array.isArray(value) ? value.join(',') : value;
}

/** @returns A signal that aborts when the client has disconnected. */
export function clientAbortSignal(reply: FastifyReply): AbortSignal {
  const aborted = new AbortController();
  reply.raw.once('close', () => aborted.abort());
  if (reply.raw.destroyed) aborted.abort();
  return aborted.signal;
}
