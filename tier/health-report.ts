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
    leftOut: (target, cause, detail) => {
      metrics.targetLeftOut(target, cause);
      log.warn({ target, cause, detail }, `${target} left out, others are asked: ${LEFT_OUT_CAUSES[cause]}`);
    },
    readmitted: (target, cause, afterMs) => {
      log.info({ target, cause, seconds: Math.round(afterMs) / 1_000 }, `${target} answers and is asked again`);
    },
    hedged: (result) => metrics.hedged(result),
    retried: (cause) => metrics.retried(cause),
  };
}
