/**
 * A connection that changes its protocol (RFC 9110, section 7.8): passed on
 * byte for byte once the other side agrees, with back-pressure both ways.
 * @module
 */
import type { Duplex } from 'node:stream';
import { SharedBody } from '../cache/shared-body.ts';
import type { SiteConfig } from '../config/schema.ts';
import { deliver } from '../http/body/deliver.ts';
import type { HttpError } from '../http/errors.ts';
import { fieldValue, type RawHeaders } from '../http/fields/headers.ts';
import { refuse } from '../http/listener/refuse.ts';
import type { Fetch, Flow, ResponseHead } from '../http/message.ts';
import type { UpgradeRequest } from '../http/node-http/exchange.ts';
import { fieldsWithId, requestIdField } from '../http/request-id.ts';
import type { Target } from '../http/request-target.ts';
import type { RequestTrace } from '../lib/trace.ts';
import type { ListenerName } from '../telemetry/metrics.ts';
import type { Result } from '../telemetry/results.ts';
import { type NodeCore, severityOf } from './node-core.ts';

/** Request to switch protocols as it goes to the next node. */
export interface UpgradeCall {
  readonly id: string;
  readonly site: SiteConfig;
  readonly target: Target;
  /** End-to-end fields, Host included. */
  readonly headers: RawHeaders;
  /** Block of addresses of the visitor. */
  readonly visitor: string | undefined;
  readonly fetch: Fetch;
}

export interface UpgradeOptions {
  readonly core: NodeCore;
  readonly listener: ListenerName;
  /** Reads the head. @throws {HttpError} for what is refused. */
  readonly read: (request: UpgradeRequest, trace: RequestTrace | undefined, id: string) => UpgradeCall;
  /** Makes the identifier of a visitor's request; absent: the requester says it. */
  readonly identify?: (request: UpgradeRequest) => string;
  /** Name of the field with the identifier, or `off`; absent: none. */
  readonly idName?: () => string;
  /** Fields of the answer to a request that fails. */
  readonly errorFields?: (error: HttpError) => RawHeaders;
}

/** Passes a request to switch protocols to the next node, never through the cache. */
export function answerUpgrade(request: UpgradeRequest, options: UpgradeOptions): void {
  const { core, listener, read, identify } = options;
  const traced = { id: identify?.(request) ?? '' };
  const trace = core.tracer.begin(traced);
  try {
    const call = read(request, trace, traced.id);
    traced.id = call.id;
    const { method, target, headers } = request;
    trace?.note('receive', { method, target, host: fieldValue(headers, 'host'), site: call.site.name });
    passUpgrade(request, call, options, trace);
  } catch (error) {
    const refusal = core.asHttpError(error, traced.id);
    trace?.note('receive', { code: refusal.code, error: refusal.message });
    core.refused(listener, refusal);
    refuseUpgrade(request.socket, refusal, options, traced.id);
  }
}

function passUpgrade(
  request: UpgradeRequest,
  call: UpgradeCall,
  options: UpgradeOptions,
  trace: RequestTrace | undefined,
): void {
  const { core, listener, idName } = options;
  const { id, site, target, headers, visitor, fetch } = call;
  const { socket } = request;
  const withId = (head: ResponseHead): ResponseHead => ({
    ...head,
    headers: fieldsWithId(head.headers, requestIdField(idName?.() ?? 'off', id)),
  });
  const writeTimeoutMs = core.limits.write_timeout;
  let flow: Flow | undefined;
  let body: SharedBody | undefined;
  const giveUp = (): void => flow?.abort();
  const count = (result: Result, status: number): void => {
    core.upgraded(listener, site, result);
    trace?.note('deliver', { status, bytes: 0 });
    trace?.note('log', { result });
  };
  socket.on('error', () => socket.destroy());
  socket.once('close', giveUp);
  const upstream = { method: 'GET', target: target.raw, headers, body: undefined, upgrade: 'websocket', visitor };
  flow = fetch(upstream, {
    onInterim: () => undefined,
    onUpgrade: (head, other) => {
      socket.off('close', giveUp);
      count('upgrade', head.status);
      core.webSockets.add(other, socket);
      join(request, other, withId(head), writeTimeoutMs);
    },
    // The other side declines: its answer is an ordinary one.
    onHead: (head) => {
      body = new SharedBody({
        writer: undefined,
        maxStoredBytes: 0,
        windowBytes: Number.POSITIVE_INFINITY,
        flow: { pause: () => flow?.pause(), resume: () => flow?.resume(), abort: giveUp },
        onAbandoned: giveUp,
      });
      count('upgrade-declined', head.status);
      answerPlainly(request, withId(head), body, writeTimeoutMs);
    },
    onData: (chunk) => body?.append(chunk),
    onEnd: (trailers) => {
      body?.end(trailers, 0);
      body?.settle();
    },
    onError: (error) => {
      // The edge that relays it to the visitor logs it by its severity.
      const severity = listener === 'tier' ? 'info' : severityOf(error);
      core.log[severity]({ id, code: error.code, cause: error.reason, detail: error.message }, 'upgrade failed');
      if (body !== undefined) {
        body.fail(error);
        return;
      }
      count(error.code, error.status);
      refuseUpgrade(socket, error, options, id);
    },
  });
}

function refuseUpgrade(socket: Duplex, error: HttpError, { errorFields, idName }: UpgradeOptions, id: string): void {
  const idField = requestIdField(idName?.() ?? 'off', id);
  refuse(socket, error, fieldsWithId(errorFields?.(error) ?? [], idField), id || undefined);
}

function join(
  { socket, unread }: UpgradeRequest,
  other: Duplex,
  { headers }: ResponseHead,
  writeTimeoutMs: number,
): void {
  let text = 'HTTP/1.1 101 Switching Protocols\r\n';
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  socket.write(`${text}\r\n`, 'latin1');
  if (unread.length > 0) other.write(unread);
  pass(socket, other, writeTimeoutMs);
  pass(other, socket, writeTimeoutMs);
}

/** Passes on what comes, and the end, with or without an error; what was taken over still arrives first. */
function pass(from: Duplex, to: Duplex, writeTimeoutMs: number): void {
  from.pipe(to);
  from.on('error', () => to.destroy());
  from.once('close', () => {
    if (!from.readableEnded) to.destroy();
    else if (!to.writableFinished) {
      const timer = setTimeout(() => to.destroy(), writeTimeoutMs);
      to.once('close', () => clearTimeout(timer));
    }
  });
}

function answerPlainly(request: UpgradeRequest, head: ResponseHead, body: SharedBody, writeTimeoutMs: number): void {
  void deliver(request.decline(), {
    head,
    body: body.reader(0, Number.POSITIVE_INFINITY),
    trailers: () => body.trailers,
    writeTimeoutMs,
    onBroken: () => request.socket.destroy(),
  });
}
