/**
 * One edge with TLS, in this process.
 * @module
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { pino } from 'pino';
import type { Test } from 'tap';
import type { z } from 'zod';
import { type limitsSchema, type RegionConfig, regionSchema, siteSchema } from '../../config/schema.ts';
import { type EdgeNode, startEdge } from '../../edge/node.ts';
import type { Delivery } from '../../edge/visitor-server.ts';
import { OriginPools } from '../../origin-shield/origin-pool.ts';
import { createLog } from '../../telemetry/log.ts';
import { makeCertificate } from './certificate.ts';
import { SECRET } from './network.ts';

export interface SecureSite {
  readonly name: string;
  readonly hosts: readonly string[];
  /** Absent: made for the hosts. */
  readonly tls?: { readonly cert_file: string; readonly key_file: string } | undefined;
  readonly keys?: Partial<z.input<typeof siteSchema>>;
}

export interface SecureEdge {
  readonly node: EdgeNode;
  readonly region: RegionConfig;
  readonly port: number;
  /** `localhost` and the port. */
  readonly origin: string;
  /** Sum of a counter's values. */
  count(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
}

export interface SecureEdgeOptions {
  readonly delivery?: Delivery;
  /** Called for every log line. */
  readonly onLog?: (line: string) => void;
  /** Path of a file. */
  readonly accessLog?: string;
}

export async function startSecureEdge(
  t: Test,
  originUrl: string,
  sites: readonly SecureSite[],
  limits: Partial<z.input<typeof limitsSchema>> = {},
  options: SecureEdgeOptions = {},
): Promise<SecureEdge> {
  const { delivery = 'prepared', onLog, accessLog } = options;
  const folder = mkdtempSync(join(tmpdir(), 'seawall-tls-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const parsed = regionSchema.parse({
    region: 'eu',
    tier_secret: SECRET,
    memory: '32MiB',
    access_log: accessLog,
    edges: [{ name: 'eu-1', listen: '127.0.0.1:0', listen_tls: '127.0.0.1:0', tier: '127.0.0.1:0' }],
    limits: { drain_timeout: '1s', ...limits },
    sites: [{ include: 'site.yaml' }],
  });
  const region: RegionConfig = {
    ...parsed,
    file: 'eu.yaml',
    sites: sites.map(({ name, hosts, tls, keys }) => {
      const { cert_file, key_file } =
        tls ??
        makeCertificate(
          folder,
          name,
          hosts.map((host) => (host === '*' ? 'any.test' : host)),
        );
      return siteSchema.parse({
        name,
        hosts,
        origin: { servers: [{ url: originUrl }] },
        tls: { cert_file, key_file },
        ...keys,
      });
    }),
    reachableShields: [],
  };
  const edge = region.edges[0];
  if (edge === undefined) throw new Error('no edge');
  const silent = createLog({ name: 'test', level: process.env['SEAWALL_LOG'] === 'debug' ? 'debug' : 'silent' });
  const log = onLog ? pino({ level: 'info' }, { write: onLog }) : silent;
  const node = await startEdge({ region, edge, origin: new OriginPools(region.network, region.sites), log, delivery });
  t.teardown(() => node.close());
  const port = Number(node.addresses.listen_tls?.split(':').at(-1));
  return {
    node,
    region,
    port,
    origin: `https://127.0.0.1:${port}`,
    async count(name, labels = {}) {
      const metric = await node.core.metrics.registry.getSingleMetric(name)?.get();
      return (metric?.values ?? [])
        .filter((value) =>
          Object.entries(labels).every(([key, is]) => (value.labels as Record<string, unknown>)[key] === is),
        )
        .reduce((sum, { value }) => sum + value, 0);
    },
  };
}

/** Resolves when the handshake is over. */
export function dialTls(port: number, servername: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const socket = connectTls({ host: '127.0.0.1', port, servername, rejectUnauthorized: false, ...options });
  socket.once('secureConnect', () => {
    socket.on('error', () => undefined);
    resolve(socket);
  });
  socket.once('error', reject);
  return promise;
}

export interface Http2Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly interim: readonly IncomingHttpHeaders[];
  readonly text: string;
  /** Code of RST_STREAM; 0: none, or no error. */
  readonly reset: number;
}

export function openHttp2(t: Test, { port }: SecureEdge, servername = 'site.test'): ClientHttp2Session {
  const session = connect(`https://${servername}:${port}`, {
    createConnection: () =>
      connectTls({ host: '127.0.0.1', port, servername, rejectUnauthorized: false, ALPNProtocols: ['h2'] }),
  });
  session.on('error', () => undefined);
  t.teardown(() => session.destroy());
  return session;
}

export function askHttp2(
  session: ClientHttp2Session,
  path: string,
  headers: OutgoingHttpHeaders = {},
  body?: string | Buffer,
): Promise<Http2Answer> {
  const { promise, resolve } = Promise.withResolvers<Http2Answer>();
  const stream = session.request(
    { ':path': path, ':authority': 'site.test', ...headers },
    { endStream: body === undefined },
  );
  let head: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  const interim: IncomingHttpHeaders[] = [];
  const chunks: Buffer[] = [];
  stream.on('headers', (fields) => interim.push(fields));
  stream.on('response', (fields) => {
    head = fields;
  });
  stream.on('trailers', (fields) => {
    trailers = fields;
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('error', () => undefined); // `reset` tells
  stream.once('close', () =>
    resolve({
      status: Number(head[':status'] ?? 0),
      headers: head,
      trailers,
      interim,
      text: Buffer.concat(chunks).toString('latin1'),
      reset: stream.rstCode ?? 0,
    }),
  );
  if (body !== undefined) stream.end(body);
  return promise;
}
