/**
 * The control listener of an edge or a shield.
 * @module
 */
import type { Started } from '../lib/components.ts';
import { type ControlListener, listenForControl } from '../telemetry/control-listener.ts';
import type { NodeCore } from './node-core.ts';

export interface NodeControlOptions {
  readonly hosts: () => readonly string[];
}

/** @returns How to open it. */
export function nodeControl(
  core: NodeCore,
  address: string,
  { hosts }: NodeControlOptions,
): (started: Started) => Promise<ControlListener> {
  return (started) =>
    listenForControl(started, {
      address,
      limits: core.limits,
      registry: core.metrics.registry,
      node: core.name,
      hosts,
      health: () => ({ isServing: true, details: core.diskHealth === undefined ? {} : { disk: core.diskHealth } }),
    });
}
