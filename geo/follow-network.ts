/**
 * The network as a node knows it that steers visitors: as the control node
 * tells, and, while that is silent, as it was told last, with what the node
 * sees for itself of the edges.
 *
 * The control node may well die with a region, so no node waits for it: a node that
 * has heard nothing of it for a second and a half begins to look.
 * @module
 */
import { setTimeout as timeout } from 'node:timers/promises';
import { formatTierField, TIER_FIELD } from '../http/fields/tier-field.ts';
import { jsonLines } from '../journal/lines.ts';
import { LONG_AGO, type MonotonicMs } from '../lib/clock.ts';
import { connectionsTo } from '../trust/connector.ts';
import type { NodeCertificates } from '../trust/node-certificates.ts';
import { MAX_NETWORK_BYTES, type Network, type NetworkRegion, readNetwork } from './network.ts';
import { RegionHealth } from './region-health.ts';
import { takesConnections } from './takes-connections.ts';
import { NETWORK_PATH, NETWORK_SILENCE_MS } from './wire.ts';

export interface FollowNetworkOptions {
  /** Scheme, host and port of each control node; the next one is followed when one is gone or silent. */
  readonly urls: readonly string[];
  /** The network's secret. */
  readonly secret: string;
  /** Certificates of this node: needed for `https`, where the secret is not sent. */
  readonly certificates?: NodeCertificates | undefined;
  /** Name of this node. */
  readonly node: string;
  /** Network state until the control node sends a newer one. */
  readonly initial: Network;
  readonly now: () => MonotonicMs;
  /** Called when the connection to the control node is made or lost. */
  readonly reached?: (isReached: boolean, reason: string) => void;
  /** @returns Whether a process accepts connections at HOST:PORT. Never rejects. */
  readonly probe?: (address: string, timeoutMs: number) => Promise<boolean | undefined>;
}

export interface FollowedNetwork {
  /** As it is now; a change makes another object. */
  readonly current: Network;
  /**
   * Sets the state from the node's own files; it applies until the control node sends one, or always without a control
   * node.
   */
  reset(initial: Network): void;
  close(): Promise<void>;
}

const RETRY_MS = 500;
const PROBE_INTERVAL_MS = 1_000;
/** With the silence before it and a pause, less than three seconds. */
const PROBE_TIMEOUT_MS = 800;

export function followNetwork({
  urls,
  secret,
  certificates,
  node,
  initial,
  now,
  reached,
  probe = takesConnections,
}: FollowNetworkOptions): FollowedNetwork {
  const closing = new AbortController();
  let current = initial;
  let isReached = false;
  /** True once the connection has told of the network. */
  let hasAnswered = false;
  let wasReported = false;
  let healths = new Map<string, RegionHealth>();

  const setReached = (next: boolean, reason: string): void => {
    if (next === isReached) return;
    isReached = next;
    healths = new Map();
    reached?.(next, reason);
  };

  /** One connection, to its end. */
  async function follow(target: string): Promise<void> {
    const ending = new AbortController();
    const signal = AbortSignal.any([closing.signal, ending.signal]);
    const silence = setTimeout(() => ending.abort(new Error('it is silent')), NETWORK_SILENCE_MS);
    const { connect, isEncrypted } = connectionsTo(target, { role: 'control' }, certificates, NETWORK_SILENCE_MS);
    // Only here: who asks no control node has better use for the memory.
    const { Pool } = await import('undici');
    const pool = new Pool(target, { connections: 1, bodyTimeout: 0, connect });
    try {
      const headers = { [TIER_FIELD]: formatTierField({ secret: isEncrypted ? undefined : secret, from: node }) };
      const { statusCode, body } = await pool.request({ method: 'GET', path: NETWORK_PATH, headers, signal });
      body.on('error', () => undefined); // the reader gets it
      if (statusCode !== 200) throw new Error(`status ${statusCode}`);
      for await (const line of jsonLines(body, MAX_NETWORK_BYTES)) {
        silence.refresh();
        const { type, network } = line as { type?: unknown; network?: unknown };
        if (type === 'network') {
          current = readNetwork(network, now());
          wasReported = true;
          hasAnswered = true;
          setReached(true, '');
        }
      }
      throw new Error('it has closed the connection');
    } finally {
      clearTimeout(silence);
      await pool.destroy();
    }
  }

  /** Goes to the next control node at once when one is lost that has answered. */
  async function followAlways(): Promise<void> {
    for (let tries = 0; !closing.signal.aborted; tries += 1) {
      hasAnswered = false;
      try {
        await follow(urls[tries % urls.length] as string);
      } catch (error) {
        if (!closing.signal.aborted) setReached(false, (error as Error).message);
      }
      if (urls.length === 1 || !hasAnswered) await pause(RETRY_MS);
    }
  }

  async function lookAlways(): Promise<void> {
    while (!closing.signal.aborted) {
      if (!isReached) await look();
      await pause(isReached ? RETRY_MS / 2 : PROBE_INTERVAL_MS);
    }
  }

  /** Sees for itself which edges take connections; what it was told of drains and pins stays. */
  async function look(): Promise<void> {
    const seen = new Map<string, boolean>();
    const addresses = new Set(current.regions.flatMap(({ edges }) => edges.map((edge) => edge.probe)));
    await Promise.all(
      [...addresses].map(async (address) => {
        seen.set(address, (await probe(address, PROBE_TIMEOUT_MS)) ?? false);
        // A region whose edges refuse is down before the last of all edges has had its time.
        if (!isReached && !closing.signal.aborted) apply(seen);
      }),
    );
  }

  function apply(seen: ReadonlyMap<string, boolean>): void {
    const at = now();
    const regions = current.regions.map((region): NetworkRegion => {
      const edges = region.edges.map((edge) => ({ ...edge, up: seen.get(edge.probe) ?? edge.up }));
      const health = healthOf(region);
      health.update(
        edges.map(({ up }) => up),
        at,
      );
      const state = health.state(at);
      const healthyAt = state === 'recovering' ? health.healthyAt : LONG_AGO;
      return { ...region, edges, health: state, healthyAt };
    });
    if (JSON.stringify(regions) !== JSON.stringify(current.regions)) current = { regions };
  }

  /** Begins with what the control node has told last. */
  function healthOf(region: NetworkRegion): RegionHealth {
    let health = healths.get(region.name);
    if (health === undefined) {
      health = new RegionHealth(region);
      health.update([true], now());
      if (region.health === 'down') health.update([false], now());
      healths.set(region.name, health);
    }
    return health;
  }

  async function pause(ms: number): Promise<void> {
    await timeout(ms, undefined, { signal: closing.signal, ref: false }).catch(() => undefined); // closing: the loops look
  }

  const running = Promise.all([...(urls.length === 0 ? [] : [followAlways()]), lookAlways()]);
  return {
    get current() {
      return current;
    },
    reset(next) {
      if (wasReported && isReached) return;
      current = next;
      healths = new Map();
    },
    async close() {
      closing.abort();
      await running;
    },
  };
}
