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
import type { MonotonicMs } from '../lib/clock.ts';
import type { ListenerName } from '../telemetry/metrics.ts';
import type { Arrival, NodeCore, Reply } from './node-core.ts';

/** One request on its way through the phases, and what they find out. */
export interface RequestContext extends Arrival {
  readonly core: NodeCore;
  readonly startedAt: MonotonicMs;
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
    report(context, next);
    try {
      const result: Next<Phase | 'deliver' | 'log'> | Promise<Next<Phase | 'deliver' | 'log'>> = phases[next](context);
      next = result instanceof Promise ? await result : result;
    } catch (error) {
      fail(context, error);
      if (context.exchange.hasHead || next === 'deliver' || next === 'log') {
        context.exchange.abort(); // too late for a page
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

/** Tells the channel and the debug log of a phase that begins. */
function report({ core, listener, id, exchange }: RequestContext, phase: string): void {
  const { name: node, log } = core;
  if (!PHASE_CHANNEL.hasSubscribers && !log.isLevelEnabled('debug')) return;
  const { target } = exchange;
  const message: PhaseMessage = { node, listener, id, phase, target };
  if (PHASE_CHANNEL.hasSubscribers) PHASE_CHANNEL.publish(message);
  log.debug({ id, listener, target }, `phase ${phase}`);
}
