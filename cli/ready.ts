/**
 * Text of a command on standard output once its nodes answer.
 * @module
 */
import type { RunningNode } from './nodes.ts';

/** One node in the ready line. */
export interface ReadyNode {
  readonly name: string;
  readonly role: RunningNode['role'];
  /** HOST:PORT, as bound, of each listener that the node has. */
  readonly listen?: string;
  readonly listen_tls?: string;
  readonly tier?: string;
  readonly control?: string;
  /** Its threads, where there are several. */
  readonly workers?: readonly { readonly name: string; readonly thread: number | undefined }[];
}

/** The one line of `--json`. */
export interface ReadyLine {
  readonly ready: true;
  readonly pid: number;
  readonly nodes: readonly ReadyNode[];
}

export function readyLine(nodes: readonly RunningNode[]): ReadyLine {
  return {
    ready: true,
    pid: process.pid,
    nodes: nodes.map(({ name, role, addresses: { listen, listen_tls, tier, control }, workers }) => ({
      name,
      role,
      ...(listen !== undefined && { listen }),
      ...(listen_tls !== undefined && { listen_tls }),
      ...(tier !== undefined && { tier }),
      ...(control !== undefined && { control }),
      ...(workers && { workers: workers.map(({ name, thread }) => ({ name, thread })) }),
    })),
  };
}

export interface Announcement {
  readonly json: boolean;
  readonly out: NodeJS.WritableStream;
}

export function announce(nodes: readonly RunningNode[], { json, out }: Announcement): void {
  if (json) {
    out.write(`${JSON.stringify(readyLine(nodes))}\n`);
    return;
  }
  for (const { name, role, addresses } of nodes) {
    const entrance = addresses.listen ?? (role === 'control' ? addresses.control : undefined);
    const scheme = role === 'dns' ? 'dns' : 'http';
    out.write(`${name} (${role}) is ready${entrance === undefined ? '' : `: ${scheme}://${entrance}/`}\n`);
  }
}
