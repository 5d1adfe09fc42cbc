/**
 * Debian's unbound as the resolver in front: it keeps answers by the networks
 * that they are good for (its module `subnetcache`), and writes names in a
 * mixture of capitals that it wants back.
 * @module
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { freePort } from '../../support/ports.ts';
import { askUdp, until } from './server.ts';
import { queryFor } from './world.ts';

export interface Unbound {
  readonly port: number;
}

/** @returns `undefined` when it is not installed. */
export async function startUnbound(
  t: Test,
  zone: string,
  serverPort: number,
  directory: string,
): Promise<Unbound | undefined> {
  const port = await freePort();
  const file = join(directory, 'unbound.conf');
  writeFileSync(file, config(zone, serverPort, port, directory));
  const child = spawn('/usr/sbin/unbound', ['-d', '-p', '-c', file], { stdio: 'ignore' });
  const isMissing = await Promise.race([once(child, 'error').then(() => true), once(child, 'spawn').then(() => false)]);
  if (isMissing) return undefined;
  t.teardown(async () => {
    const ended = once(child, 'exit');
    if (child.exitCode !== null || !child.kill('SIGKILL')) return;
    await ended;
  });
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`unbound ended with ${child.exitCode}`);
    const [isAnswered] = await Promise.allSettled([askUdp(port, queryFor('localhost', 'A'))]);
    return isAnswered?.status === 'fulfilled';
  }, 'unbound');
  return { port };
}

function config(zone: string, serverPort: number, port: number, directory: string): string {
  return `server:
  module-config: "subnetcache iterator"
  interface: 127.0.0.1@${port}
  port: ${port}
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  do-ip6: no
  send-client-subnet: 127.0.0.1
  client-subnet-always-forward: yes
  max-client-subnet-ipv4: 24
  max-client-subnet-ipv6: 56
  use-caps-for-id: yes
  num-threads: 1
  chroot: ""
  username: ""
  directory: "${directory}"
  use-syslog: no
  do-daemonize: no
stub-zone:
  name: "${zone}"
  stub-addr: 127.0.0.1@${serverPort}
remote-control:
  control-enable: no
`;
}
