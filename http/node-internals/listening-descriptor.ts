/**
 * The descriptor of a listening socket, to hand it to another process: Node can pass servers to its own children only,
 * and not those of worker threads.
 * @module
 */
import type { Server } from 'node:net';
import { NodeInternal } from './node-internal.ts';

export const LISTENING_DESCRIPTOR = new NodeInternal({
  name: 'listening_descriptor',
  uses: '`_handle.fd` of a server',
  without: 'a new version cannot take over the addresses of a running one (SIGUSR2)',
});

export function listeningDescriptor(server: Server): number | undefined {
  if (!LISTENING_DESCRIPTOR.isUsable) return undefined;
  const fd = (server as { readonly _handle?: { readonly fd?: unknown } | null })._handle?.fd;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}
