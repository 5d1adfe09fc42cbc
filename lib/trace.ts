/**
 * Trace of single requests: a line of the debug log and a message to a diagnostics channel for each phase. With
 * neither a log level of `debug` nor a subscriber, a request costs one check.
 * @module
 */
import { type Channel, channel } from 'node:diagnostics_channel';

/** Phases in the order in which a request passes them, with what their messages say. Each has a channel of its name. */
export const TRACE_PHASES = {
  receive: 'The head was read. `method`, `target`, `host`.',
  admit: 'The visitor was let in, or refused.',
  purge: 'The method PURGE was carried out.',
  route: 'The edge answers itself (`next` is `deliver`), or the cache does.',
  body: 'The body of the request is there, or there is none.',
  lookup: 'The store was asked. `hit`; `detail` of a hit; else `fwd` with the reason, and the `next` step.',
  fetch: 'A node or the origin is asked. `to` names it.',
  cache: 'There is a reply. `status`, `result`, `cacheStatus`.',
  deliver: 'The response is sent, or broken off. `status`, `bytes`.',
  log: 'The request is counted. `result`, `ms` since its head.',
} as const;

export type TracePhase = keyof typeof TRACE_PHASES;

/** Message of a channel, and fields of a line of the debug log. */
export interface TraceMessage {
  readonly node: string;
  readonly id: string;
  readonly phase: TracePhase;
  readonly [field: string]: unknown;
}

/** The part of a log that a trace needs. */
export interface DebugLog {
  isLevelEnabled(level: 'debug'): boolean;
  debug(fields: object, message: string): void;
}

/** Request that is traced; its identifier may become known while it is read. */
export interface Traced {
  readonly id: string;
}

const PHASES = Object.keys(TRACE_PHASES) as readonly TracePhase[];

export function traceChannel(phase: TracePhase): string {
  return `seawall:${phase}`;
}

const CHANNELS = Object.fromEntries(PHASES.map((phase) => [phase, channel(traceChannel(phase))])) as Readonly<
  Record<TracePhase, Channel>
>;
const ALL = Object.values(CHANNELS);

/** Trace of one request. */
export class RequestTrace {
  readonly #tracer: Tracer;
  readonly #request: Traced;

  constructor(tracer: Tracer, request: Traced) {
    this.#tracer = tracer;
    this.#request = request;
  }

  note(phase: TracePhase, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#tracer.note(this.#request.id, phase, fields);
  }
}

/** Tracer of a node. */
export class Tracer {
  readonly #node: string;
  readonly #log: DebugLog;
  /** Asked once: the level of a log does not change while it is used. */
  readonly #isDebug: boolean;

  constructor(node: string, log: DebugLog) {
    this.#node = node;
    this.#log = log;
    this.#isDebug = log.isLevelEnabled('debug');
  }

  get isOn(): boolean {
    if (this.#isDebug) return true;
    for (const one of ALL) if (one.hasSubscribers) return true;
    return false;
  }

  /** As `isOn`, for a request that is answered with prepared bytes, and passes few phases. */
  get isOnForPrepared(): boolean {
    if (this.#isDebug) return true;
    const { receive, lookup, deliver, log } = CHANNELS;
    return receive.hasSubscribers || lookup.hasSubscribers || deliver.hasSubscribers || log.hasSubscribers;
  }

  /** Returns the trace of a request; `undefined` if nothing would see it. */
  begin(request: Traced): RequestTrace | undefined {
    return this.isOn ? new RequestTrace(this, request) : undefined;
  }

  note(id: string, phase: TracePhase, fields: Readonly<Record<string, unknown>>): void {
    const message: TraceMessage = { node: this.#node, id, phase, ...fields };
    if (CHANNELS[phase].hasSubscribers) CHANNELS[phase].publish(message);
    if (this.#isDebug) this.#log.debug(message, phase);
  }
}
