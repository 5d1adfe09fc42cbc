/**
 * Phases of a request at a node, from its head to the line in the log. An edge
 * has a table of them for its visitors (edge/pipeline.ts), every node one for
 * other nodes (tier/listener.ts); the last two are the same.
 *
 * A phase returns the next one, at once or by a promise. What it throws becomes
 * an error page.
 * @module
 */
import type { CacheRequest } from '../cache/engine.ts';
import type { EarlyLookup } from '../cache/lookup.ts';
import { fieldValue } from '../http/fields/headers.ts';
import { Turns } from '../http/listener/turns.ts';
import { type MonotonicMs, msSince } from '../lib/clock.ts';
import type { RequestTrace, TracePhase } from '../lib/trace.ts';
import type { AccessFacts } from '../telemetry/access-log/entry.ts';
import type { Arrival, Finishing, NodeCore, Reply } from './node-core.ts';

/** One request on its way through the phases, and what they find out. */
export interface RequestContext extends Arrival {
  readonly core: NodeCore;
  readonly startedAt: MonotonicMs;
  reply: Reply | undefined;
  /** Bytes of the body that were delivered. */
  bytes: number;
  /** Absent unless requests are traced. */
  readonly trace: RequestTrace | undefined;
  /** Absent for what is not in the access log. */
  readonly facts?: AccessFacts | undefined;
}

type Next<Phase> = Phase | 'done';

export type Phases<Phase extends string, Context> = Readonly<
  Record<Phase, (context: Context) => Next<Phase> | Promise<Next<Phase>>>
>;

/** Table of phases, and what it needs of those that run them. */
export interface Pipeline<Phase extends TracePhase, Context extends RequestContext> {
  readonly phases: PhaseTable<Phase, Context>;
  /** Makes the reply to what a phase threw. */
  readonly fail: (context: Context, error: unknown) => void;
  /** Called when the last phase has run. */
  readonly finish?: (context: Context) => void;
}

type PhaseTable<Phase extends TracePhase, Context> = Phases<Phase | 'receive' | 'deliver' | 'log', Context>;

type Step<Phase> = Next<Phase | 'receive' | 'deliver' | 'log'>;

/** Takes a request through the phases; those that answer at once have run when it returns. Never throws. */
export function runPhases<Phase extends TracePhase, Context extends RequestContext>(
  pipeline: Pipeline<Phase, Context>,
  first: Step<Phase>,
  context: Context,
): void {
  const { phases } = pipeline;
  let next = first;
  while (next !== 'done') {
    const phase = next;
    try {
      // By their names those that hits pass: V8 takes some 20 ns to find a phase by a variable, and does not inline it.
      const result =
        phase === 'receive'
          ? phases.receive(context)
          : phase === 'deliver'
            ? phases.deliver(context)
            : phase === 'log'
              ? phases.log(context)
              : phases[phase](context);
      if (typeof result !== 'string') {
        runLater(pipeline, phase, result, context);
        return;
      }
      next = result;
      if (context.trace !== undefined) note(phase, next, context);
    } catch (error) {
      next = failed(pipeline, phase, context, error);
    }
  }
  pipeline.finish?.(context);
}

/** Answers that had to be waited for and are whole, until the end of the poll that brought them. */
const awaited = new Turns();

/**
 * Goes on when the phase has answered.
 *
 * Whole answers are sent together once all sockets of the poll are read, not one after each read: a write to a process
 * that sleeps wakes it up, which costs the sender up to a quarter of a miss; those that follow at once find it awake.
 * What is still on its way begins at once.
 */
function runLater<Phase extends TracePhase, Context extends RequestContext>(
  pipeline: Pipeline<Phase, Context>,
  phase: TracePhase,
  pending: Promise<Step<Phase>>,
  context: Context,
): void {
  pending.then(
    (next) => {
      if (context.trace !== undefined) note(phase, next, context);
      if (next === 'deliver' && context.reply?.body?.isWhole === true)
        awaited.later(() => runPhases(pipeline, next, context));
      else runPhases(pipeline, next, context);
    },
    (error) => runPhases(pipeline, failed(pipeline, phase, context, error), context),
  );
}

function failed<Phase extends TracePhase, Context extends RequestContext>(
  { fail }: Pipeline<Phase, Context>,
  phase: TracePhase,
  context: Context,
  error: unknown,
): 'deliver' | 'done' {
  fail(context, context.exchange.refusal ?? error);
  context.trace?.note(phase, { code: context.reply?.result, error: (error as Error).message });
  if (!context.exchange.hasHead && phase !== 'deliver' && phase !== 'log') return 'deliver';
  context.exchange.abort(); // too late for a page
  return 'done';
}

function note(phase: TracePhase, next: string, context: RequestContext): void {
  context.trace?.note(phase, findings(phase, next, context));
}

/** Answers from the cache, at once, or from upstream. @throws {HttpError} (or rejects) */
export function cacheReply(
  context: RequestContext,
  request: CacheRequest,
  finishing: Finishing,
  early?: EarlyLookup,
): 'deliver' | Promise<'deliver'> {
  return context.core.engine.answer(request, early, (answer) => {
    context.reply = context.core.replyOf(answer, finishing);
    return 'deliver';
  });
}

/** Sends the reply, at the reader's pace. */
export function deliverReply(context: RequestContext): 'log' | Promise<'log'> {
  const written = context.core.deliver(context, context.reply as Reply);
  if (typeof written !== 'number') return written.then((bytes) => delivered(context, bytes));
  return delivered(context, written);
}

function delivered(context: RequestContext, bytes: number): 'log' {
  context.bytes = bytes;
  return 'log';
}

/** Counts the answer, and writes the line of the access log. */
export function logReply(context: RequestContext): 'done' {
  const { core, exchange, listener, startedAt, site, reply, bytes } = context;
  const { head, result } = reply as Reply;
  const counter = core.metrics.answers(listener, site?.name ?? '', result);
  core.answered(counter, head.status, bytes, startedAt, exchange, context.facts);
  core.metrics.traffic.note(counter, exchange, head.headers);
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
