/**
 * Messages between a running process and the one that takes its place.
 * @module
 */

/** Environment variable of the new process: addresses of the sockets that it is given, as JSON. */
export const SOCKETS_VARIABLE = 'SEAWALL_SOCKETS';

/** Descriptor of the first of them; those before are standard input, output, error and the channel. */
export const FIRST_DESCRIPTOR = 4;

export type ToPredecessor =
  /** The new process is about to start its nodes. */
  | { readonly seawall: 'release' }
  /** They serve. */
  | { readonly seawall: 'serving' };

export type ToSuccessor =
  /** Files that only one process may use are closed. */
  | { readonly seawall: 'released' }
  /** The new process goes on without the old one. */
  | { readonly seawall: 'independent' };

export function isMessage<Message extends { readonly seawall: string }>(
  message: unknown,
  kind: Message['seawall'],
): boolean {
  return typeof message === 'object' && message !== null && 'seawall' in message && message.seawall === kind;
}
