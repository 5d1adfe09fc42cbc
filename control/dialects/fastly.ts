/**
 * Fastly's way to purge, as its own client and many plugins speak it:
 * fastly.com/documentation/reference/api/purging. A service is a site, its id
 * the site's name.
 * @module
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Logger } from '../../telemetry/log.ts';
import { ApiError } from '../errors.ts';
import type { PurgeApi } from '../purge-api.ts';
import { checkCount } from '../purge-request.ts';
import { MAX_PURGE_BODY_BYTES } from '../schemas.ts';
import { reported } from '../server.ts';
import { validBody } from '../validate.ts';

const batchSchema = z
  .strictObject({
    surrogate_keys: z.array(z.string()).default([]).meta({ description: 'Keys to purge.' }),
  })
  .meta({ title: 'FastlyBatch' });

const URL_PATH = '/purge/';

export function addFastly(server: FastifyInstance, api: PurgeApi, log: Logger): void {
  void server.register(async (scope) => {
    acceptAnyBody(scope);
    scope.setErrorHandler((error, request, reply) => sendError(reply, reported(error, request, log)));
    scope.addHook('onRequest', async (request) => {
      const { 'fastly-key': key } = request.headers;
      request.caller = await api.authenticate(typeof key === 'string' ? key : undefined, request.ip, 'fastly');
    });

    async function purge(request: FastifyRequest, body: Record<string, unknown>): Promise<string> {
      const answer = await api.purge(request.caller, body, undefined, NEVER);
      return answer.kind === 'receipt' ? answer.receipt.id : '';
    }

    scope.post('/service/:service/purge/*', async (request) => {
      const { service, '*': key } = request.params as { service: string; '*': string };
      return { status: 'ok', id: await purge(request, { site: service, tags: [key], soft: isSoft(request) }) };
    });

    scope.post('/service/:service/purge', { bodyLimit: MAX_PURGE_BODY_BYTES }, async (request) => {
      const { service } = request.params as { service: string };
      checkCount(request.body);
      const { surrogate_keys: inBody } = validBody(batchSchema, request.body ?? {});
      const keys = [...new Set([...inBody, ...inHeader(request)])];
      const id = await purge(request, { site: service, tags: keys, soft: isSoft(request) });
      return Object.fromEntries(keys.map((key) => [key, id]));
    });

    scope.post('/service/:service/purge_all', async (request) => {
      const { service } = request.params as { service: string };
      // "Purge-all requests cannot be done in soft mode."
      await purge(request, { site: service, purge_everything: true });
      return { status: 'ok' };
    });

    scope.post(`${URL_PATH}*`, async (request) => {
      // As it was sent, with its query: what Fastify makes of it is decoded.
      const url = (request.raw.url ?? '').slice(URL_PATH.length);
      const files = /^https?:\/\//i.test(url) ? [url] : [`https://${url}`, `http://${url}`];
      return { status: 'ok', id: await purge(request, { files, soft: isSoft(request) }) };
    });
  });
}

/** Purges of this dialect are never waited for. */
const NEVER = new AbortController().signal;

/** "The value is not important." */
function isSoft({ headers }: FastifyRequest): boolean {
  return headers['fastly-soft-purge'] !== undefined;
}

function inHeader({ headers }: FastifyRequest): string[] {
  return [headers['surrogate-key'] ?? []]
    .flat()
    .flatMap((value) => value.split(' '))
    .filter((key) => key !== '');
}

/** Most of these calls have no body, but some clients name the type of one, or send a form without fields. */
function acceptAnyBody(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null, undefined);
    try {
      done(null, JSON.parse(body as string));
    } catch (error) {
      done(new ApiError('malformed_json', { detail: (error as Error).message }));
    }
  });
}

function sendError(reply: FastifyReply, error: ApiError): FastifyReply {
  const isUnknownService = error.errors.some(({ pointer }) => pointer === '/site');
  const [first] = error.errors;
  const detail = first === undefined ? error.detail : `${first.detail}. ${first.fix}`;
  return reply
    .code(isUnknownService ? 404 : error.status)
    .headers(error.headers)
    .send({
      msg: isUnknownService ? 'Record not found' : error.message,
      ...(detail !== undefined && { detail: isUnknownService ? 'Cannot find service' : detail }),
    });
}
