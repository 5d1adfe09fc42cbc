/** Definition of a scenario. @module */
import type { Measures, Metric } from './metrics.ts';
import type { Variant } from './seawall.ts';
import type { Ability, Server, ServerKind, Setup } from './server.ts';
import type { OpenStage } from './stage.ts';

export interface Options {
  readonly rounds: number;
  /** Duration of a measurement of one server in one round. */
  readonly seconds: number;
  /** Objects of the Zipf mix, and of the one that counts bytes per object. */
  readonly objects: number;
  /** Connections that idle. */
  readonly connections: number;
}

export interface Context {
  readonly stage: OpenStage;
  readonly options: Options;
}

export interface Scenario {
  /** On the command line: `hit-bare`. */
  readonly name: string;
  /** For people: `1 KB hit, no headers`. */
  readonly title: string;
  /** One or two sentences for the documentation. */
  readonly about: string;
  /** Metric that is compared and charted. */
  readonly primary: Metric;
  /** Further metrics in the table. */
  readonly metrics: readonly Metric[];
  readonly setup: Setup;
  /** Abilities of which a server must have at least one to take part. */
  readonly needs: readonly Ability[];
  /** Returns the reason why it cannot run on this machine; undefined if it can. */
  unavailable(): string | undefined;
  /** Rounds that it takes when so many are asked for, where these are not as many. */
  readonly rounds?: (asked: number) => number;
  /** Servers besides those that are compared in all scenarios, or instead of them. */
  readonly kinds?: (compared: readonly ServerKind[]) => readonly ServerKind[];
  /** Seawall as the scenario starts it, where that is not one process of `serve`. */
  readonly ours?: (variant: Variant) => ServerKind;
  /** Fills the server's cache, makes sure that it answers as meant, warms it up. */
  prepare(server: Server, context: Context): Promise<void>;
  measure(server: Server, context: Context, round: number): Promise<Measures>;
}
