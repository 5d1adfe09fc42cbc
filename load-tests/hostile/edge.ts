/** The edge that is attacked: one process, every bound as it is by default. @module */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../../test/support/ports.ts';
import { type Running, removeFolder, temporaryFolder } from '../bench/processes.ts';
import { ready, startSeawall } from '../bench/seawall.ts';

export interface Edge {
  readonly running: Running;
  readonly port: number;
  readonly tlsPort: number;
  stop(): Promise<void>;
}

/** @param certificates - Folder of `cert.pem` and `key.pem`. */
export async function startEdge(originPort: number, certificates: string): Promise<Edge> {
  const folder = temporaryFolder('hostile');
  const [port = 0, tlsPort = 0, tier = 0] = await freePorts(3);
  const file = join(folder, 'region.yaml');
  writeFileSync(
    file,
    `region: hostile
tier_secret: only-for-the-benchmark-of-this-machine
memory: 256MiB
edges:
  - { name: edge-1, listen: '127.0.0.1:${port}', listen_tls: '127.0.0.1:${tlsPort}', tier: '127.0.0.1:${tier}', workers: 1 }
sites:
  - name: site
    hosts: ['*']
    tls: { cert_file: '${certificates}/cert.pem', key_file: '${certificates}/key.pem' }
    origin: { servers: [{ url: 'http://127.0.0.1:${originPort}' }] }
    # What nearly every site leaves out of its keys.
    key: { query: { deny: ['utm_*', 'gclid', 'fbclid', 'msclkid'] } }
    rules:
      - { path: ['/account/*', '/*/admin/*', '/*.php'], cache: never }
      - { path: ['/assets/*', '/*.css', '/*.js'], ttl: 1d }
`,
  );
  const running = startSeawall('edge-1', ['start', file, '--node', 'edge-1', '--json', '--log-level', 'error']);
  await ready(running);
  return {
    running,
    port,
    tlsPort,
    async stop() {
      await running.stop();
      removeFolder(folder);
    },
  };
}
