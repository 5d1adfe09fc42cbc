/**
 * The control listener of a node: what operators and their tools read.
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import type { LimitsConfig } from '../config/schema.ts';
import { type Listener, listen } from '../http/listener.ts';
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
  /** Further POST handlers, by path. */
  readonly posts?: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => void>>;
}

export interface Health {
  /** False makes the answer a 503. */
  readonly isServing: boolean;
  readonly details: Readonly<Record<string, unknown>>;
}

const WELL: Health = { isServing: true, details: {} };

/** Serves `/metrics` (Prometheus text) and `/healthz`. */
export function listenForControl({
  address,
  limits,
  registry,
  node,
  hosts,
  health = () => WELL,
  posts = {},
}: ControlListenerOptions): Promise<Listener> {
  return listen({
    address,
    limits,
    onRequest: (request, response) => {
      const path = request.url?.split('?')[0] ?? '';
      const post = Object.hasOwn(posts, path) ? posts[path] : undefined;
      if (request.method === 'POST' && post !== undefined) {
        post(request, response);
        return;
      }
      const { host } = request.headers;
      if (!isControlHost(host, [address, ...hosts()])) {
        response.writeHead(421, { 'Content-Type': 'text/plain' }).end(`${controlHostFix(host ?? '')}\n`);
      } else if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.writeHead(405, { Allow: 'GET, HEAD' }).end();
      } else if (path === '/healthz') {
        const { isServing, details } = health();
        const text = JSON.stringify({ node, status: isServing ? 'ok' : 'down', ...details });
        response.writeHead(isServing ? 200 : 503, { 'Content-Type': 'application/json' }).end(text);
      } else if (path === '/metrics') {
        registry.metrics().then(
          (text) => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
          () => response.writeHead(500).end(),
        );
      } else {
        response.writeHead(404).end();
      }
    },
  });
}
