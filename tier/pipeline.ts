/**
 * Phases of a request at a node, from its head to the line in the log. An edge
 * has a table of them for its visitors (edge/pipeline.ts), every node one for
 * other nodes (tier/listener.ts); the last two are the same.
 *
 * A phase returns the next one, at once or by a promise. What it throws becomes
 * an error page.
 * @module
 */
import { fieldValue } from '../http/fields/headers.ts';
import { type MonotonicMs, msSince } from '../lib/clock.ts';
import type { RequestTrace, TracePhase } from '../lib/trace.ts';
import type { Arrival, NodeCore, Reply } from './node-core.ts';

/** One request on its way through the phases, and what they find out. */
export interface RequestContext extends Arrival {
  readonly core: NodeCore;
  readonly startedAt: MonotonicMs;
  reply: Reply | undefined;
  /** Bytes of the body that were delivered. */
  bytes: number;
  /** Absent unless requests are traced. */
  readonly trace: RequestTrace | undefined;
}

type Next<Phase> = Phase | 'done';

export type Phases<Phase extends string, Context> = Readonly<
  Record<Phase, (context: Context) => Next<Phase> | Promise<Next<Phase>>>
>;

/**
 * Takes a request through the phases. Never rejects.
 *
 * @param fail - Makes the reply to what a phase threw.
 */
export async function runPhases<Phase extends TracePhase, Context extends RequestContext>(
  phases: Phases<Phase | 'deliver' | 'log', Context>,
  first: Phase | 'deliver',
  context: Context,
  fail: (context: Context, error: unknown) => void,
): Promise<void> {
  let next: Next<Phase | 'deliver' | 'log'> = first;
  while (next !== 'done') {
    const phase: Phase | 'deliver' | 'log' = next;
    try {
      const result: Next<Phase | 'deliver' | 'log'> | Promise<Next<Phase | 'deliver' | 'log'>> = phases[next](context);
      next = result instanceof Promise ? await result : result;
      if (context.trace !== undefined) context.trace.note(phase, findings(phase, next, context));
    } catch (error) {
      fail(context, error);
      context.trace?.note(phase, { code: context.reply?.result, error: (error as Error).message });
      if (context.exchange.hasHead || phase === 'deliver' || phase === 'log') {
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

/** Findings of a phase, for the trace. */
function findings(phase: TracePhase, next: string, context: RequestContext): Record<string, unknown> {
  const { exchange, site, reply, bytes, startedAt } = context;
  switch (phase) {
    case 'receive':
      return {
        method: exchange.method,
        target: exchange.target,
        host: fieldValue(exchange.headers, 'host'),
        site: site?.name,
      };
    case 'cache': {
      const { head, result } = reply as Reply;
      return { status: head.status, result, cacheStatus: fieldValue(head.headers, 'cache-status') };
    }
    case 'deliver':
      return { status: reply?.head.status, bytes };
    case 'log':
      return { result: reply?.result, ms: Math.round(msSince(startedAt) * 1_000) / 1_000 };
    default:
      return { next };
  }
}
