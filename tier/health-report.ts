/**
 * Changes in the health of targets, in log and metrics.
 * @module
 */
import { LEFT_OUT_CAUSES } from '../telemetry/left-out-causes.ts';
import type { NodeCore } from './node-core.ts';
import type { Targets } from './targets.ts';

/** Reports the health of these targets from now on. */
export function reportHealth({ log, metrics }: Pick<NodeCore, 'log' | 'metrics'>, targets: Targets): void {
  metrics.watchTargets(targets);
  targets.events = {
    leftOut: (target, cause, detail, isNew) => {
      metrics.targetLeftOut(target, cause);
      const event = { target, cause, detail };
      // Nodes of a network do not start at the same moment.
      if (isNew) log.info(event, `${target} does not answer yet, others are asked: ${LEFT_OUT_CAUSES[cause]}`);
      else log.warn(event, `${target} left out, others are asked: ${LEFT_OUT_CAUSES[cause]}`);
    },
    readmitted: (target, cause, afterMs) => {
      log.info({ target, cause, seconds: Math.round(afterMs) / 1_000 }, `${target} answers and is asked again`);
    },
    hedged: (result) => metrics.hedged(result),
    retried: (cause) => metrics.retried(cause),
    shed: (target, reason, priority) => metrics.shed(target, reason, priority),
    sheddingBegan: (target, { inFlight, waiting, capacity }) => {
      log.warn(
        { target, limit: capacity, underWay: inFlight - waiting, waiting },
        `${target} gets more requests than it can take: some are refused with 503`,
      );
    },
    sheddingEnded: (target, count, ms) => {
      log.info({ target, refused: count, seconds: Math.round(ms) / 1_000 }, `${target} can take all requests again`);
    },
  };
}
