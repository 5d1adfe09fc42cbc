/**
 * A DNS server in this process, and who asks it: sockets, and `dig`.
 * @module
 */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as timeout } from 'node:timers/promises';
import type { Test } from 'tap';
import { loadRegion } from '../../../config/load.ts';
import { type DnsNode, startDns } from '../../../geo/dns/node.ts';
import { createLog } from '../../../telemetry/log.ts';
import { regionOf } from './world.ts';

export interface RunningDns {
  readonly node: DnsNode;
  readonly port: number;
  readonly file: string;
  reload(): void;
}

/**
 * Runs until the test is over.
 *
 * @param others - Files of other regions.
 */
export async function runDns(t: Test, yaml: string, others: readonly string[] = []): Promise<RunningDns> {
  const directory = t.testdir(Object.fromEntries(others.map((other, index) => [`${index}.yaml`, other])));
  const region = regionOf(directory, yaml);
  const regions = [region, ...others.map((_, index) => loadRegion(join(directory, `${index}.yaml`), {}))];
  if (region.dns === undefined) throw new Error('no dns');
  const log = createLog({ name: 'dns', level: 'silent' });
  const node = await startDns({ region, dns: region.dns, regions, log });
  t.teardown(() => node.close());
  const port = Number(node.addresses.listen?.split(':').at(-1));
  return {
    node,
    port,
    file: region.file,
    reload() {
      const next = loadRegion(region.file, {});
      node.reload(next, [next]);
    },
  };
}

/** @returns The answer over UDP. */
export async function askUdp(port: number, query: Buffer, host = '127.0.0.1'): Promise<Buffer> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  try {
    socket.send(query, port, host);
    const [answer] = (await once(socket, 'message', { signal: AbortSignal.timeout(5_000) })) as [Buffer];
    return answer;
  } finally {
    socket.close();
  }
}

export async function openTcp(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return socket;
}

/** @returns As many messages as are wanted, or those until the connection ends. */
export async function readMessages(socket: Socket, wanted: number): Promise<Buffer[]> {
  const messages: Buffer[] = [];
  let rest = Buffer.alloc(0);
  if (wanted === 0) return messages;
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
      messages.push(rest.subarray(2, 2 + rest.readUInt16BE(0)));
      rest = rest.subarray(2 + rest.readUInt16BE(0));
    }
    if (messages.length >= wanted) break;
  }
  return messages;
}

/** @returns What `dig` prints; `undefined` when there is no dig. */
export async function dig(port: number, args: readonly string[]): Promise<string | undefined> {
  return run('dig', ['@127.0.0.1', '-p', String(port), '+tries=1', '+time=5', '+norecurse', ...args]);
}

/** @returns Standard output; `undefined` when the program is not installed. */
export async function run(program: string, args: readonly string[]): Promise<string | undefined> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const failed = once(child, 'error').then(() => undefined);
  return Promise.race([failed, text(child.stdout)]);
}

/** Waits until something is true; fails when it is not so in time. */
export async function until(
  isTrue: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 10_000,
): Promise<number> {
  const began = performance.now();
  while (!(await isTrue())) {
    if (performance.now() - began > withinMs) throw new Error(`${what}: not within ${withinMs} ms`);
    await timeout(20);
  }
  return performance.now() - began;
}
