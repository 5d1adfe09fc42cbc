/** nginx, with `sendfile` off or on: which is better depends on the size of what is sent. @module */
import { writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../../test/support/ports.ts';
import { coreFor, printed, programOf, removeFolder, start, temporaryFolder, untilListening } from '../processes.ts';
import { fillIn, type ServerKind, template } from '../server.ts';

const OPEN_FILES = 20_000;

export function nginx(sendfile: 'off' | 'on'): ServerKind {
  const program = programOf('nginx');
  return {
    name: sendfile === 'off' ? 'nginx' : 'nginx-sendfile',
    title: `nginx, sendfile ${sendfile}`,
    version: program && /nginx\/(\S+)/.exec(printed([program, '-v']))?.[1],
    abilities: new Set(['cache', 'tls', 'http2']),
    configs: () => ({ 'nginx.conf': template('nginx.conf') }),

    async start({ originPort, certificates }, { memoryMebibytes, threads }) {
      if (program === undefined) throw new Error('nginx is not installed');
      const folder = temporaryFolder('nginx');
      const [port = 0, tlsPort = 0] = await freePorts(2);
      const values = {
        user: userInfo().username,
        files: OPEN_FILES,
        folder,
        sendfile,
        workers: threads ?? 1,
        memory: memoryMebibytes,
        port,
        tls: tlsPort,
        origin: originPort,
        certificate: join(certificates ?? folder, 'cert.pem'),
        key: join(certificates ?? folder, 'key.pem'),
      };
      let config = fillIn(template('nginx.conf'), values);
      if (certificates === undefined) config = config.replace(/^.*(?:ssl|http2).*\n/gm, '');
      const file = join(folder, 'nginx.conf');
      writeFileSync(file, config);
      const running = start('nginx', [program, '-p', folder, '-c', file, '-e', 'stderr'], {
        core: coreFor(threads),
      });
      await untilListening(running, port);
      return {
        kind: this,
        running,
        port,
        tlsPort: certificates === undefined ? undefined : tlsPort,
        async stop() {
          await running.stop();
          removeFolder(folder);
        },
      };
    },
  };
}
