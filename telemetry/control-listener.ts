/**
 * The control listener of a node: what operators and their tools read.
 * @module
 */
import type { Registry } from 'prom-client';
import type { LimitsConfig } from '../config/schema.ts';
import { answerWhole } from '../http/exchange.ts';
import { firstLine } from '../http/fields/headers.ts';
import { LISTENER_LIFETIME, type Listener, listen } from '../http/listener/listener.ts';
import type { Started } from '../lib/components.ts';
import { controlHostFix, isControlHost } from './control-hosts.ts';

export interface ControlListenerOptions {
  readonly address: string;
  readonly limits: LimitsConfig;
  readonly registry: Pick<Registry, 'metrics' | 'contentType'>;
  readonly node: string;
  /** Names that it answers under, beside addresses and that of its own address. */
  readonly hosts: () => readonly string[];
  /** Health in `/healthz`, beside the node's name; healthy by default. */
  readonly health?: () => Health;
}

export interface Health {
  /** False makes the answer a 503. */
  readonly isServing: boolean;
  readonly details: Readonly<Record<string, unknown>>;
}

/** A control listener, which says when its node takes nothing new any more. */
export interface ControlListener extends Listener {
  /** `/healthz` answers 503 from now on, on connections that are open: the address is free for a successor. */
  drain(): void;
}

/** Lifetime of control listeners among the components of a node. */
export const CONTROL_LIFETIME = {
  ...LISTENER_LIFETIME,
  drain: (listener: ControlListener): void => listener.drain(),
};

const HEALTHY: Health = { isServing: true, details: {} };

/** Serves `/metrics` (Prometheus text) and `/healthz`. */
export async function listenForControl(
  started: Started,
  { address, limits, registry, node, hosts, health = () => HEALTHY }: ControlListenerOptions,
): Promise<ControlListener> {
  let isDraining = false;
  const listener = await listen(started, {
    address,
    limits,
    onRequest: (exchange) => {
      const { method, target, headers } = exchange;
      const path = target.split('?')[0] as string;
      const host = firstLine(headers, 'host');
      if (!isControlHost(host, [address, ...hosts()])) {
        answerWhole(exchange, 421, ['Content-Type', 'text/plain'], `${controlHostFix(host ?? '')}\n`);
      } else if (method !== 'GET' && method !== 'HEAD') {
        answerWhole(exchange, 405, ['Allow', 'GET, HEAD']);
      } else if (path === '/healthz') {
        const { isServing, details } = health();
        const status = isDraining ? 'draining' : isServing ? 'ok' : 'down';
        const text = JSON.stringify({ node, status, ...details });
        answerWhole(exchange, status === 'ok' ? 200 : 503, ['Content-Type', 'application/json'], text);
      } else if (path === '/metrics') {
        registry.metrics().then(
          (text) => answerWhole(exchange, 200, ['Content-Type', registry.contentType], text),
          () => answerWhole(exchange, 500),
        );
      } else {
        answerWhole(exchange, 404);
      }
    },
  });
  return {
    ...listener,
    drain: () => {
      isDraining = true;
      listener.stopAccepting();
    },
  };
}
