/**
 * Probes of origin servers: the check that the config asks for; or, for a server that was left out, the last GET
 * that a server of its origin has answered well, without what was the visitor's own.
 * @module
 */
import { connect } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import { isOriginError } from '../cache/policy/status.ts';
import { CONDITIONAL_FIELDS } from '../cache/policy/validation.ts';
import type { CheckConfig } from '../config/schema/check.ts';
import type { OriginConfig } from '../config/schema.ts';
import { type RawHeaders, withoutFields } from '../http/fields/headers.ts';
import type { UpstreamRequest } from '../http/message.ts';
import type { UpstreamClient } from '../http/upstream/client.ts';
import type { Probe } from '../tier/prober.ts';
import type { ProbingOptions } from '../tier/target-health.ts';

/** Pause between trials of a server without a check, and time limit of each. */
const TRIAL = { intervalMs: 250, timeoutMs: 2_000 };

export interface CheckedServer {
  readonly url: string;
  readonly client: UpstreamClient;
  /** Latest GET request that a server of the origin has answered well, as it goes to this server. */
  readonly latest: () => UpstreamRequest | undefined;
}

/** Returns how a server of an origin with several is probed. */
export function probingOf(server: CheckedServer, { check, tls }: OriginConfig): ProbingOptions {
  const connects = probeByConnecting(server, tls);
  if (check === undefined) {
    return {
      probe: (done) => {
        const request = server.latest();
        return request === undefined
          ? connects(done)
          : probeByRequest(server.client, anonymous(request), isNoError)(done);
      },
      begins: 'left-out',
      intervalMs: () => TRIAL.intervalMs,
      timeoutMs: () => TRIAL.timeoutMs,
      unhealthyAfter: 1,
      healthyAfter: 1,
    };
  }
  return {
    probe:
      check.path === undefined
        ? connects
        : probeByRequest(server.client, requestOf(server.url, check), isExpected(check)),
    begins: 'first-request',
    intervalMs: () => check.interval,
    timeoutMs: () => check.timeout,
    unhealthyAfter: check.unhealthy_after,
    healthyAfter: check.healthy_after,
  };
}

function requestOf(url: string, { path = '/', host = new URL(url).host }: CheckConfig): UpstreamRequest {
  return { method: 'GET', target: path, headers: ['Host', host, 'User-Agent', 'seawall-check'], body: undefined };
}

function isExpected({ status: expected }: CheckConfig): (status: number) => boolean {
  return (status) => expected?.includes(status) ?? status < 400;
}

function isNoError(status: number): boolean {
  return !isOriginError(status);
}

const OF_THE_VISITOR: ReadonlySet<string> = new Set([...CONDITIONAL_FIELDS, 'range', 'cookie', 'authorization']);

function anonymous({ target, headers }: UpstreamRequest): UpstreamRequest {
  return { method: 'GET', target, headers: withoutFields(headers as RawHeaders, OF_THE_VISITOR), body: undefined };
}

/** The body is not read to its end: the head says enough. */
function probeByRequest(client: UpstreamClient, request: UpstreamRequest, isGood: (status: number) => boolean): Probe {
  return (done) => {
    const flow = client.probe(request, {
      onInterim: () => undefined,
      onHead: ({ status }) => setImmediate(done, isGood(status), `status ${status}`),
      onData: () => undefined,
      onEnd: () => undefined,
      onError: ({ detail }) => setImmediate(done, false, detail),
    });
    return () => flow.abort();
  };
}

function probeByConnecting({ url, client }: CheckedServer, { verify, server_name }: OriginConfig['tls']): Probe {
  const { secureContext } = client.pool;
  const { protocol, hostname, port } = new URL(url);
  const isSecure = protocol === 'https:';
  const place = { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port || (isSecure ? 443 : 80)) };
  return (done) => {
    const socket = isSecure
      ? connectSecurely({
          ...place,
          rejectUnauthorized: verify,
          ...(secureContext && { secureContext }),
          ...(server_name && { servername: server_name }),
        })
      : connect(place);
    socket.once(isSecure ? 'secureConnect' : 'connect', () => done(true));
    socket.on('error', ({ message }) => done(false, message));
    return () => void socket.destroy();
  };
}
