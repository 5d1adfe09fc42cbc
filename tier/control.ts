/**
 * The control listener of an edge or a shield.
 * @module
 */
import type { Listener } from '../http/listener/listener.ts';
import type { Started } from '../lib/components.ts';
import { listenForControl } from '../telemetry/control-listener.ts';
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
): (started: Started) => Promise<Listener> {
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
