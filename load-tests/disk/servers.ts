/**
 * Servers of the disk benchmark: an edge with a disk, and nginx with its cache on the same disk.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startNode } from '../../test/support/node-processes.ts';
import { freePorts } from '../../test/support/ports.ts';
import { familyPids } from '../bench/proc.ts';
import type { Source } from './reader.ts';

/** Memory of the edge: so little that hits come from disk. */
const MEMORY = '64MiB';

export interface DiskServer {
  readonly name: string;
  readonly port: number;
  /** Requests for an object until it is on disk. */
  readonly requestsToStore: number;
  sourceOf(head: string): Source;
  /** Starts it; it may not answer yet. @returns Its process id. */
  start(): Promise<number>;
  /** @returns Objects on its disk, if it says so. */
  stored(): Promise<number | undefined>;
  /** Ends it with SIGKILL. */
  kill(): Promise<void>;
}

export interface Setup {
  readonly folder: string;
  readonly originPort: number;
  readonly diskBytes: number;
}

export async function seawall({ folder, originPort, diskBytes }: Setup): Promise<DiskServer> {
  const [port, tier, control] = (await freePorts(3)) as [number, number, number];
  const file = join(folder, 'seawall.yaml');
  writeFileSync(
    file,
    `region: disk
tier_secret: only-for-this-measurement-on-this-machine
memory: ${MEMORY}
limits: { connections_per_address: 0 }
edges:
  - name: edge
    listen: 127.0.0.1:${port}
    tier: 127.0.0.1:${tier}
    control: 127.0.0.1:${control}
    workers: 1
    disk: { path: ${join(folder, 'seawall')}, size: ${diskBytes}B, write_rate: 100GiB }
sites: [{ name: disk, hosts: ['*'], origin: { servers: [{ url: 'http://127.0.0.1:${originPort}' }] } }]
`,
    { mode: 0o600 },
  );
  let kill = async (): Promise<void> => undefined;
  return {
    name: 'Seawall',
    port,
    requestsToStore: 3,
    sourceOf: (head) => (head.includes(';detail=disk') ? 'disk' : head.includes(';hit') ? 'memory' : 'origin'),
    async start() {
      const node = await startNode('edge', [file]);
      kill = () => node.kill();
      return node.pid;
    },
    async stored() {
      const response = await fetch(`http://127.0.0.1:${control}/healthz`);
      return ((await response.json()) as { disk: { objects?: number } }).disk.objects;
    },
    kill: () => kill(),
  };
}

export async function nginx({ folder, originPort, diskBytes }: Setup): Promise<DiskServer> {
  const [port] = (await freePorts(1)) as [number];
  const home = join(folder, 'nginx');
  mkdirSync(home);
  const file = join(home, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off;
user root;
worker_processes 1;
pid ${home}/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  proxy_cache_path ${home}/cache levels=1:2 keys_zone=objects:256m max_size=${diskBytes} inactive=7d use_temp_path=off;
  upstream origin { server 127.0.0.1:${originPort}; keepalive 64; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache objects;
      add_header X-Cache $upstream_cache_status;
    }
  }
}
`,
  );
  let child: ChildProcess | undefined;
  return {
    name: 'nginx',
    port,
    requestsToStore: 1,
    sourceOf: (head) => (head.includes('X-Cache: HIT') ? 'disk' : 'origin'),
    async start() {
      child = spawn('/usr/bin/setpriv', ['--pdeathsig=KILL', '--', '/usr/sbin/nginx', '-p', home, '-c', file], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      return child.pid as number;
    },
    stored: async () => undefined,
    async kill() {
      if (child?.pid === undefined) return;
      const exited = once(child, 'exit');
      for (const pid of familyPids(child.pid)) process.kill(pid, 'SIGKILL');
      await exited;
    },
  };
}
