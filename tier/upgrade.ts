/**
 * A connection that changes its protocol (RFC 9110, section 7.8): passed on
 * byte for byte once the other side agrees, with back-pressure both ways.
 * @module
 */
import type { Duplex } from 'node:stream';
import { SharedBody } from '../cache/shared-body.ts';
import { deliver } from '../http/deliver.ts';
import type { HttpError } from '../http/errors.ts';
import type { RawHeaders } from '../http/headers.ts';
import { refuse } from '../http/listener.ts';
import type { Fetch, Flow, ResponseHead, UpstreamRequest } from '../http/message.ts';
import type { UpgradeRequest } from '../http/node-exchange.ts';
import type { Result } from '../telemetry/results.ts';

export interface UpgradeOptions {
  readonly request: UpgradeRequest;
  readonly upstream: UpstreamRequest;
  readonly fetch: Fetch;
  readonly writeTimeoutMs: number;
  /** Fields of the answer when nobody upstream gives one. */
  readonly refusalFields?: (error: HttpError) => RawHeaders;
  readonly onError: (error: HttpError) => void;
  /** Called once with the outcome: `upgrade`, `upgrade-declined`, or the code of the error. */
  readonly onOutcome: (result: Result) => void;
}

export function passUpgrade(options: UpgradeOptions): void {
  const { upstream, fetch } = options;
  const { socket } = options.request;
  let flow: Flow | undefined;
  let body: SharedBody | undefined;
  const giveUp = (): void => flow?.abort();
  socket.on('error', () => socket.destroy());
  socket.once('close', giveUp);
  flow = fetch(upstream, {
    onInterim: () => undefined,
    onUpgrade: (head, other) => {
      socket.off('close', giveUp);
      options.onOutcome('upgrade');
      join(options, other, head);
    },
    // The other side declines: its answer is an ordinary one.
    onHead: (head) => {
      body = new SharedBody({
        writer: undefined,
        maxKeptBytes: 0,
        windowBytes: Number.POSITIVE_INFINITY,
        flow: { pause: () => flow?.pause(), resume: () => flow?.resume(), abort: giveUp },
        onAbandoned: giveUp,
      });
      options.onOutcome('upgrade-declined');
      answerPlainly(options, head, body);
    },
    onData: (chunk) => body?.append(chunk),
    onEnd: (trailers) => void body?.end(trailers, 0),
    onError: (error) => {
      options.onError(error);
      if (body !== undefined) {
        body.fail(error);
        return;
      }
      options.onOutcome(error.code);
      refuse(socket, error, options.refusalFields?.(error));
    },
  });
}

function join({ request, writeTimeoutMs }: UpgradeOptions, other: Duplex, { headers }: ResponseHead): void {
  const { socket, unread } = request;
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

function answerPlainly({ request, writeTimeoutMs }: UpgradeOptions, head: ResponseHead, body: SharedBody): void {
  void deliver(request.decline(), {
    head,
    body: body.reader(0, Number.POSITIVE_INFINITY),
    trailers: () => body.trailers,
    writeTimeoutMs,
    onBroken: () => request.socket.destroy(),
  });
}
