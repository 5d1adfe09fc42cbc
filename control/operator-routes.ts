/**
 * Addresses of a control node for operators and their tools, beside the journal of nodes.
 * @module
 */
import { setTimeout as timeout } from 'node:timers/promises';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Journal } from '../journal/journal.ts';
import { controlHostFix, isControlHost } from '../telemetry/control-hosts.ts';
import { ApiError } from './errors.ts';
import type { ControlMetrics } from './metrics.ts';
import type { NodeList } from './node-list.ts';
import { openApiDocument } from './openapi.ts';
import type { PurgeApi } from './purge-api.ts';
import type { Route } from './routes.ts';
import { bearer } from './server.ts';

export interface OperatorParts {
  readonly nodes: () => NodeList;
  readonly journal: Journal;
  readonly metrics: ControlMetrics;
  /** Names that it answers under without a token. */
  readonly hosts: () => readonly string[];
}

/** Adds health, metrics and the list of nodes: without a token, under the names of the control node only. */
export function addOperatorRoutes(server: FastifyInstance, { nodes, journal, metrics, hosts }: OperatorParts): void {
  const onRequest = async ({ headers: { host } }: FastifyRequest): Promise<void> => {
    if (!isControlHost(host, hosts())) throw new ApiError('unknown_host', { detail: controlHostFix(host ?? '') });
  };
  server.get('/healthz', { onRequest }, async (_request, reply) => {
    const { newest } = journal.state();
    const ok = journal.isWritable && (await isReached(journal));
    return reply.code(ok ? 200 : 503).send({ ok, journal: { writable: ok, newest } });
  });
  server.get('/metrics', { onRequest }, async (_request, reply) => {
    const { registry } = metrics;
    return reply.header('content-type', registry.contentType).send(await registry.metrics());
  });
  server.get('/v1/nodes', { onRequest }, async () => nodes().read());
}

/** A journal that does not answer within this time is not healthy. */
const HEALTH_TIMEOUT_MS = 1_000;

/** Never rejects. */
async function isReached(journal: Journal): Promise<boolean> {
  const isCurrent = journal.current().then(
    () => true,
    () => false,
  );
  const patience = new AbortController();
  const isLate = timeout(HEALTH_TIMEOUT_MS, false, { signal: patience.signal, ref: false }).catch(() => false);
  const ok = await Promise.race([isCurrent, isLate]);
  patience.abort();
  return ok;
}

/** Adds the API's own routes, which its OpenAPI document describes. */
export function addApiRoutes(server: FastifyInstance, api: PurgeApi, routes: readonly Route[]): void {
  const document = openApiDocument(routes);
  server.get('/openapi.json', async () => document);
  for (const { method, path, token, maxBodyBytes, handle } of routes) {
    server.route({
      method,
      url: path,
      ...(maxBodyBytes !== undefined && { bodyLimit: maxBodyBytes }),
      // Before the body is read: a caller without a token cannot make this read four megabytes.
      ...(token && {
        async onRequest(request) {
          request.caller = await api.authenticate(bearer(request.headers.authorization), request.ip, 'seawall');
        },
      }),
      handler: handle,
    });
  }
}
