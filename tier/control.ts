/**
 * The control listener of an edge or a shield.
 * @module
 */
import type { Started } from '../lib/components.ts';
import { type ControlListener, listenForControl } from '../telemetry/control-listener.ts';
import { answerMatches, countMatches } from './dry-run.ts';
import type { NodeCore } from './node-core.ts';

export interface NodeControlOptions {
  readonly secret: () => string;
  readonly hosts: () => readonly string[];
}

/** @returns How to open it. */
export function nodeControl(
  core: NodeCore,
  address: string,
  { secret, hosts }: NodeControlOptions,
): (started: Started) => Promise<ControlListener> {
  return (started) =>
    listenForControl(started, {
      address,
      limits: core.limits,
      registry: core.metrics.registry,
      node: core.name,
      hosts,
      health: () => ({ isServing: true, details: core.diskHealth === undefined ? {} : { disk: core.diskHealth } }),
      posts: { '/v1/matches': answerMatches((records) => countMatches(core, records), secret) },
    });
}
