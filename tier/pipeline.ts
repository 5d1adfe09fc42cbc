/**
 * Phases of a request at a node, from its head to the line in the log. An edge
 * has a table of them for its visitors (edge/pipeline.ts), every node one for
 * other nodes (tier/listener.ts); the last two are the same.
 *
 * A phase returns the next one, at once or by a promise. What it throws becomes
 * an error page.
 * @module
 */
import { channel } from 'node:diagnostics_channel';
import type { SiteConfig } from '../config/schema.ts';
import type { ServerExchange } from '../http/exchange.ts';
import type { RawHeaders } from '../http/headers.ts';
import type { BodyReader, ResponseHead } from '../http/message.ts';
import type { MonotonicMs } from '../lib/clock.ts';
import type { ListenerName } from '../telemetry/metrics.ts';
import type { Result } from '../telemetry/results.ts';
import type { NodeCore } from './node-core.ts';

/** Answer of a node, before it is delivered. */
export interface Reply {
  readonly head: ResponseHead;
  readonly body: BodyReader | undefined;
  /** Complete once the body is read. */
  readonly trailers: () => RawHeaders;
  readonly result: Result;
}

/** One request on its way through the phases, and what they find out. */
export interface RequestContext {
  readonly core: NodeCore;
  readonly exchange: ServerExchange;
  readonly listener: ListenerName;
  readonly startedAt: MonotonicMs;
  /** Identifier in logs and error pages. */
  readonly id: string;
  site: SiteConfig | undefined;
  reply: Reply | undefined;
  /** Bytes of the body that were delivered. */
  bytes: number;
}

type Next<Phase> = Phase | 'done';

export type Phases<Phase extends string, Context> = Readonly<
  Record<Phase, (context: Context) => Next<Phase> | Promise<Next<Phase>>>
>;

/** Message of the channel, sent before each phase. */
export interface PhaseMessage {
  readonly node: string;
  readonly listener: ListenerName;
  readonly id: string;
  readonly phase: string;
  readonly target: string;
}

/** For tools that trace requests; costs nothing while nothing subscribes. */
const PHASE_CHANNEL = channel('seawall:request:phase');

/**
 * Takes a request through the phases. Never rejects.
 *
 * @param fail - Makes the reply to what a phase threw.
 */
export async function runPhases<Phase extends string, Context extends RequestContext>(
  phases: Phases<Phase | 'deliver' | 'log', Context>,
  first: Phase | 'deliver',
  context: Context,
  fail: (context: Context, error: unknown) => void,
): Promise<void> {
  let next: Next<Phase | 'deliver' | 'log'> = first;
  while (next !== 'done') {
    if (PHASE_CHANNEL.hasSubscribers) publish(context, next);
    try {
      const result: Next<Phase | 'deliver' | 'log'> | Promise<Next<Phase | 'deliver' | 'log'>> = phases[next](context);
      next = result instanceof Promise ? await result : result;
    } catch (error) {
      fail(context, error);
      if (context.exchange.hasHead) {
        context.exchange.abort();
        return;
      }
      next = 'deliver';
    }
  }
}

/** Sends the reply, at the reader's pace. */
export async function deliverReply(context: RequestContext): Promise<'log'> {
  context.bytes = await context.core.deliver(context, context.reply as Reply);
  return 'log';
}

/** Counts the answer, and writes the line of the access log. */
export function logReply(context: RequestContext): 'done' {
  const { core, exchange, listener, startedAt, site, reply, bytes } = context;
  const { head, result } = reply as Reply;
  const counter = core.metrics.answers(listener, site?.name ?? '', result);
  core.answered(counter, head.status, bytes, startedAt, exchange, context);
  return 'done';
}

function publish({ core, listener, id, exchange }: RequestContext, phase: string): void {
  const message: PhaseMessage = { node: core.name, listener, id, phase, target: exchange.target };
  PHASE_CHANNEL.publish(message);
}
