/**
 * The control node: what operators ask about the network. It is never on a
 * request's path; the network does not notice when it is gone.
 *
 * It listens where its region file says and nowhere else, and whoever reaches
 * that address may read: keep it on a loopback or management address.
 * @module
 */
import fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import { splitAddress } from '../config/listener.ts';
import type { RegionConfig } from '../config/schema.ts';
import type { Logger } from '../telemetry/log.ts';
import { createNodeList, type NodeList } from './node-list.ts';
import { createProbe } from './probe.ts';

export type ControlConfig = NonNullable<RegionConfig['control']>;

export interface ControlOptions {
  readonly control: ControlConfig;
  /** Every region that this node tells about. */
  readonly regions: readonly RegionConfig[];
  readonly log: Logger;
}

export interface ControlNode {
  readonly name: string;
  /** HOST:PORT. */
  readonly address: string;
  /** Tells about these regions from now on. */
  reload(regions: readonly RegionConfig[]): void;
  /** Finishes what is under way, then stops. */
  close(): Promise<void>;
}

/** Nothing that is sent to the control node is longer. */
const MAX_BODY_BYTES = 64 * 1024;
const REQUEST_TIMEOUT_MS = 10_000;

/** @throws What `listen` fails with, such as `EADDRINUSE`. */
export async function startControl({ control, regions, log }: ControlOptions): Promise<ControlNode> {
  const probe = createProbe();
  let nodes = createNodeList(regions, probe.isUp);

  const server = fastify({
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
  });
  addRoutes(server, () => nodes, log);

  const url = await server.listen(splitAddress(control.listen));

  return {
    name: control.name,
    address: url.slice('http://'.length),
    reload(newRegions) {
      nodes = createNodeList(newRegions, probe.isUp);
    },
    async close() {
      await server.close();
      await probe.close();
    },
  };
}

function addRoutes(server: FastifyInstance, nodes: () => NodeList, log: Logger): void {
  server.get('/healthz', async () => ({ ok: true }));
  server.get('/v1/nodes', async () => ({ regions: await nodes().read() }));

  server.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'not_found' }));
  server.setErrorHandler((error: FastifyError, request, reply) => {
    const status = error.statusCode ?? 500;
    if (status < 500) return reply.code(status).send({ error: 'bad_request', message: error.message });
    // What went wrong inside is for the log, not for whoever asked.
    log.error({ err: error, method: request.method, url: request.url }, 'the control node could not answer');
    return reply.code(500).send({ error: 'internal' });
  });
}
