/**
 * Cloudflare's way to purge, as its own client and many plugins speak it:
 * developers.cloudflare.com/api, "Purge Cached Content". A zone is a site, its
 * id the site's name.
 *
 * `purge_cache` is a hard purge, `invalidate_cache` a soft one.
 * @module
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../../telemetry/log.ts';
import type { ApiError, ApiErrorCode, FieldProblem } from '../errors.ts';
import type { PurgeApi } from '../purge-api.ts';
import { checkCount } from '../purge-request.ts';
import { MAX_PURGE_BODY_BYTES, purgeRequestSchema } from '../schemas.ts';
import { bearer, reported } from '../server.ts';
import { validBody } from '../validate.ts';

const bodySchema = purgeRequestSchema
  .pick({ files: true, tags: true, prefixes: true, hosts: true, purge_everything: true })
  .meta({ id: 'CloudflarePurge', title: 'CloudflarePurge' });

/** Cloudflare's numbers, where it has one that is meant so. */
const CODES: Readonly<Partial<Record<ApiErrorCode, number>>> = {
  unauthorised: 10000,
  forbidden: 9109,
  malformed_json: 6007,
};
const OTHER_CODE = 1012;
const UNKNOWN_ZONE_CODE = 7003;

export function addCloudflare(server: FastifyInstance, api: PurgeApi, log: Logger): void {
  void server.register(async (scope) => {
    scope.setErrorHandler((error, request, reply) => sendErrors(reply, reported(error, request, log)));
    for (const [action, soft] of [
      ['purge_cache', false],
      ['invalidate_cache', true],
    ] as const) {
      scope.post(`/client/v4/zones/:zone/${action}`, {
        bodyLimit: MAX_PURGE_BODY_BYTES,
        async onRequest(request) {
          request.caller = await api.authenticate(bearer(request.headers.authorization), request.ip, 'cloudflare');
        },
        handler: async (request) => purge(request, api, soft),
      });
    }
  });
}

async function purge(request: FastifyRequest, api: PurgeApi, soft: boolean) {
  const { zone } = request.params as { zone: string };
  checkCount(request.body);
  const body = validBody(bodySchema, withoutFalse(request.body));
  const answer = await api.purge(request.caller, { ...body, site: zone, soft }, undefined, NEVER);
  const id = answer.kind === 'receipt' ? answer.receipt.id : '';
  return { success: true, errors: [], messages: [], result: { id } };
}

/** Purges of this dialect are never waited for. */
const NEVER = new AbortController().signal;

/** `purge_everything: false` is as good as none to Cloudflare. */
function withoutFalse(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  const { purge_everything: everything, ...rest } = body as Record<string, unknown>;
  return everything === false || everything === undefined ? rest : body;
}

function sendErrors(reply: FastifyReply, error: ApiError): FastifyReply {
  const isUnknownZone = error.errors.some(({ pointer }) => pointer === '/site');
  const code = isUnknownZone ? UNKNOWN_ZONE_CODE : (CODES[error.code] ?? OTHER_CODE);
  const errors = error.errors.length === 0 ? [{ code, message: error.message }] : error.errors.map(errorMessage);
  return reply
    .code(isUnknownZone ? 404 : error.status)
    .headers(error.headers)
    .send({ success: false, errors, messages: [], result: null });

  function errorMessage({ pointer, detail, fix }: FieldProblem) {
    return { code, message: `${detail}. ${fix}`, ...(pointer !== undefined && { source: { pointer } }) };
  }
}
