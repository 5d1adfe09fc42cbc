/**
 * Another node of the network as a target of requests.
 * @module
 */
import type { Duplex } from 'node:stream';
import { type RawHeaders, withField } from '../http/fields/headers.ts';
import type { BodySink, Flow, ResponseHead, ResponseSink, UpstreamRequest, Version } from '../http/message.ts';
import { MAX_RESPONSE_HEADER_BYTES, UpstreamClient } from '../http/upstream/client.ts';
import type { UpstreamError } from '../http/upstream/errors.ts';
import { Breaker } from './breaker.ts';
import type { Target } from './failover.ts';
import { formatTierCall, readVersion, relayedError, TIER_FIELD, TIER_FIELDS, type TierCall } from './protocol.ts';

/** A node that fails this often in a row is left out, first for so long, at most for so long. */
const BREAKER = { failures: 3, firstPauseMs: 500, maxPauseMs: 10_000 };

/** Nodes are near each other, or at least up: one that takes longer to connect to is down. */
const CONNECT_TIMEOUT_MS = 2_000;

/** Maximum head between nodes, with room for the fields that nodes add to an origin's. */
const MAX_HEAD_BYTES = MAX_RESPONSE_HEADER_BYTES * 2;

export interface NodeClientOptions {
  readonly name: string;
  /** HOST:PORT of its tier listener. */
  readonly tier: string;
  readonly secret: string;
  /** Time limit for the head: longer than that of the node for the origin itself. */
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxConnections: number;
  readonly maxWaiting: number;
}

export class NodeClient {
  readonly name: string;
  readonly breaker = new Breaker(BREAKER);
  readonly #client: UpstreamClient;
  readonly #secret: string;

  constructor(options: NodeClientOptions) {
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
  }

  get inFlight(): number {
    return this.#client.inFlight;
  }

  /** @returns This node as a target for one visitor's request. */
  target(call: TierCall, onTry?: () => void): Target {
    return {
      name: this.name,
      breaker: this.breaker,
      fetch: (request, sink) =>
        this.#fetch(request, formatTierCall({ ...call, visitor: request.visitor }, this.#secret), sink),
      ...(onTry && { onTry }),
    };
  }

  /** Ends kept connections at once; requests under way get to their end. */
  close(): Promise<void> {
    return this.#client.close();
  }

  /** Cuts off what is under way. */
  destroy(): Promise<void> {
    return this.#client.destroy();
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
