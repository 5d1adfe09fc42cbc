/**
 * Another node of the network as a target of requests.
 * @module
 */
import type { Duplex } from 'node:stream';
import { type RawHeaders, withField } from '../http/fields/headers.ts';
import { WholeBody } from '../http/http1/whole-body.ts';
import type { BodySink, Flow, ResponseHead, ResponseSink, UpstreamRequest, Version } from '../http/message.ts';
import { MAX_RESPONSE_HEADER_BYTES, UpstreamClient } from '../http/upstream/client.ts';
import type { UpstreamError } from '../http/upstream/errors.ts';
import type { PeerTls } from '../http/upstream/pool.ts';
import type { Target } from './failover.ts';
import type { Probe } from './prober.ts';
import {
  formatHeartbeat,
  formatMessage,
  formatTierCall,
  HEARTBEAT_TARGET,
  readVersion,
  relayedError,
  TIER_FIELD,
  TIER_FIELDS,
  type TierCall,
} from './protocol.ts';
import type { TargetHealth } from './target-health.ts';
import type { Targets } from './targets.ts';

/** A node that fails this often in a row is left out, first for so long, at most for so long. */
const LEFT_OUT = { failures: 3, firstPauseMs: 500, maxPauseMs: 10_000 };

/** Nodes are near each other, or at least up: one that takes longer to connect to is down. */
const CONNECT_TIMEOUT_MS = 2_000;

/** Maximum wait for the answer to a message, and its size. */
const MESSAGE_TIMEOUT_MS = 2_000;
const MAX_ANSWER_BYTES = 2 ** 20;

/** Maximum head between nodes, with room for the fields that nodes add to an origin's. */
const MAX_HEAD_BYTES = MAX_RESPONSE_HEADER_BYTES * 2;

export interface NodeClientOptions {
  readonly name: string;
  /** HOST:PORT of its tier listener. */
  readonly tier: string;
  /** Sent with each call; absent where the connection has certificates. */
  readonly secret: string | undefined;
  readonly peer?: PeerTls | undefined;
  /** Time limit for the head: longer than that of the node for the origin itself. */
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxConnections: number;
  readonly maxWaiting: number;
  readonly heartbeat: HeartbeatOptions;
}

export interface HeartbeatOptions {
  /** Name of the node that sends them. */
  readonly from: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

export class NodeClient {
  readonly name: string;
  readonly health: TargetHealth;
  readonly #targets: Targets;
  readonly #client: UpstreamClient;
  readonly #secret: string | undefined;

  /** @param targets - Those that it belongs to, until it is closed. */
  constructor(options: NodeClientOptions, targets: Targets) {
    this.name = options.name;
    this.#secret = options.secret;
    this.#client = new UpstreamClient({
      ...options,
      url: `http://${options.tier}`,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      maxHeadBytes: MAX_HEAD_BYTES,
      busyCode: 'overloaded',
      restMs: 0, // a node sends its response and nothing else
      withheld: TIER_FIELDS,
    });
    const { heartbeat } = options;
    this.#targets = targets;
    this.health = targets.add({
      name: options.name,
      ...LEFT_OUT,
      probing: {
        probe: this.#heartbeat(heartbeat.from),
        begins: 'at-once',
        intervalMs: () => heartbeat.intervalMs,
        timeoutMs: () => heartbeat.timeoutMs,
        unhealthyAfter: 1,
        healthyAfter: 2,
      },
      onSilence: () => this.#client.breakStalled(),
    });
  }

  get inFlight(): number {
    return this.#client.inFlight;
  }

  /** @returns This node as a target for one visitor's request. */
  target(call: TierCall, onTry?: () => void): Target {
    return {
      name: this.name,
      health: this.health,
      fetch: (request, sink) => {
        const { visitor, priority } = request;
        return this.#fetch(request, formatTierCall({ ...call, visitor, priority }, this.#secret), sink);
      },
      ...(onTry && { onTry }),
    };
  }

  /**
   * Sends a message that counts for no visitor.
   *
   * @returns What it answers; rejects if that is not 200 with JSON, or takes longer than two seconds.
   */
  ask(from: string, ask: 'limits', body: object): Promise<unknown> {
    const bytes = Buffer.from(JSON.stringify(body));
    const request = {
      method: 'POST',
      target: '/',
      headers: ['Host', 'message.invalid', TIER_FIELD, formatMessage(from, ask, this.#secret)],
      body: new WholeBody(bytes),
    };
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const chunks: Buffer[] = [];
    let size = 0;
    const flow = this.#client.probe(request, {
      onInterim: () => undefined,
      onHead: ({ status }) => {
        if (status !== 200) reject(new Error(`${this.name} answered ${status}`));
      },
      onData: (chunk) => {
        size += chunk.length;
        if (size > MAX_ANSWER_BYTES) reject(new Error(`${this.name} answered too much`));
        else chunks.push(Buffer.from(chunk));
      },
      onEnd: () => resolve(Buffer.concat(chunks).toString()),
      onError: reject,
    });
    const timer = setTimeout(() => reject(new Error(`${this.name} did not answer`)), MESSAGE_TIMEOUT_MS).unref();
    return promise
      .finally(() => {
        clearTimeout(timer);
        flow.abort();
      })
      .then((text) => JSON.parse(text as string) as unknown);
  }

  /** Ends kept connections at once; requests under way get to their end. */
  close(): Promise<void> {
    this.#targets.remove(this.health);
    return this.#client.close();
  }

  /** Cuts off what is under way. */
  destroy(): Promise<void> {
    this.#targets.remove(this.health);
    return this.#client.destroy();
  }

  /** Returns what sends a heartbeat; any response shows that the node answers. */
  #heartbeat(from: string): Probe {
    const field = formatHeartbeat(from, this.#secret);
    const request = {
      method: 'GET',
      target: HEARTBEAT_TARGET,
      headers: ['Host', 'heartbeat.invalid', TIER_FIELD, field],
      body: undefined,
    };
    return (done) => {
      const flow = this.#client.probe(request, {
        onInterim: () => undefined,
        onHead: () => undefined,
        onData: () => undefined,
        onEnd: () => done(true),
        onError: ({ detail }) => setImmediate(done, false, detail),
      });
      return () => flow.abort();
    };
  }

  #fetch(request: UpstreamRequest, field: string, sink: ResponseSink): Flow {
    const headers = withField(request.headers, TIER_FIELD, field);
    return this.#client.send({ ...request, headers }, new FromNode(this.name, sink));
  }
}

/** Receives what a node answers: a response, or an error in the place of one. */
class FromNode implements ResponseSink {
  readonly #name: string;
  readonly #sink: ResponseSink;
  #version: Version | undefined;
  /** Error that the node answers with in the place of a response. */
  #error: UpstreamError | undefined;
  #hasFailed = false;

  constructor(name: string, sink: ResponseSink) {
    this.#name = name;
    this.#sink = sink;
  }

  /** An error's page is dropped; the node that talks to the visitor writes its own. */
  get body(): BodySink {
    return this.#hasFailed ? DROPPED : (this.#sink.body ?? this.#sink);
  }

  get isMovable(): boolean {
    return !this.#hasFailed && this.#sink.isMovable === true;
  }

  onInterim(status: number, headers: RawHeaders): void {
    this.#sink.onInterim(status, headers);
  }

  onFields(headers: RawHeaders): void {
    this.#error = relayedError(headers, this.#name);
    this.#version = readVersion(headers);
  }

  onHead({ status, statusText, headers }: ResponseHead): void {
    if (this.#error === undefined) {
      this.#sink.onHead({ status, statusText, headers, version: this.#version });
      return;
    }
    this.#hasFailed = true;
    this.#sink.onError(this.#error);
  }

  onData(chunk: Buffer): void {
    this.body.onData(chunk);
  }

  onEnd(trailers: RawHeaders): void {
    this.body.onEnd(trailers);
  }

  onError(error: UpstreamError): void {
    if (!this.#hasFailed) this.#sink.onError(error);
  }

  onUpgrade(head: ResponseHead, socket: Duplex): void {
    if (this.#sink.onUpgrade === undefined) socket.destroy();
    else this.#sink.onUpgrade(head, socket);
  }
}

const DROPPED: BodySink = {
  onData: () => undefined,
  onEnd: () => undefined,
};
