/** HAProxy with its cache. @module */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../../../test/support/ports.ts';
import { openFileLimit } from '../../herd/processes.ts';
import { coreFor, printed, programOf, removeFolder, start, temporaryFolder, untilListening } from '../processes.ts';
import { fillIn, type ServerKind, template } from '../server.ts';

/** Upper limit of `total-max-size` in MB, by its manual; one object may take half of it. */
const MOST_MEGABYTES = 4_095;

/** Its default would be 1/256 of the whole. */
const OBJECT_BYTES = 16 * 1024 * 1024;

/** It sets two files aside for each connection, and some for itself. */
const FILES_PER_CONNECTION = 2;
const OWN_FILES = 200;

const BARE_304 = 'http-after-response del-header content-length if { status 304 }';

export function haproxy(): ServerKind {
  const program = programOf('haproxy');
  return {
    name: 'haproxy',
    title: 'HAProxy',
    version: program && /version (\S+)/.exec(printed([program, '-v']))?.[1],
    abilities: new Set(['cache', 'tls', 'http2']),
    configs: () => ({ 'haproxy.cfg': template('haproxy.cfg') }),

    async start({ originPort, certificates }, { memoryMebibytes, is304Bare = false, threads }) {
      if (program === undefined) throw new Error('HAProxy is not installed');
      const folder = temporaryFolder('haproxy');
      const [port = 0, tlsPort = 0] = await freePorts(2);
      let config = fillIn(template('haproxy.cfg'), {
        memory: Math.min(memoryMebibytes, MOST_MEGABYTES),
        object: OBJECT_BYTES,
        bare: is304Bare ? BARE_304 : '',
        threads: threads ?? 1,
        port,
        tls: tlsPort,
        origin: originPort,
        pem: join(certificates ?? folder, 'both.pem'),
      });
      if (certificates === undefined) config = config.replace(/^.* ssl .*\n/gm, '');
      const file = join(folder, 'haproxy.cfg');
      writeFileSync(file, config);
      const running = start('haproxy', [program, '-db', '-f', file], { core: coreFor(threads) });
      await untilListening(running, port);
      return {
        kind: this,
        running,
        port,
        mostConnections: Math.floor((openFileLimit() - OWN_FILES) / FILES_PER_CONNECTION),
        tlsPort: certificates === undefined ? undefined : tlsPort,
        async stop() {
          await running.stop();
          removeFolder(folder);
        },
      };
    },
  };
}
