/** Apache Traffic Server with its RAM cache. @module */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../../../test/support/ports.ts';
import { CORES, printed, programOf, removeFolder, start, temporaryFolder, untilListening } from '../processes.ts';
import { fillIn, type ServerKind, template } from '../server.ts';

/** Folders to search for its modules. */
const MODULES = ['/usr/lib/trafficserver/modules', '/usr/libexec/trafficserver', '/usr/local/libexec/trafficserver'];

/** The store behind the RAM cache: everything is written to it as well. In memory here, as the folder is. */
const STORE_MEBIBYTES = { least: 256, perMemory: 2 };

export function trafficServer(): ServerKind {
  const program = programOf('traffic_server');
  return {
    name: 'trafficserver',
    title: 'Traffic Server',
    version: program && /Traffic Server (\S+)/.exec(printed([program, '-V']))?.[1],
    abilities: new Set(['cache', 'tls', 'http2']),
    configs: () => ({ 'records.config': template('trafficserver.records.config') }),

    async start({ originPort, certificates }, { memoryMebibytes }) {
      if (program === undefined) throw new Error('Traffic Server is not installed');
      const folder = temporaryFolder('trafficserver');
      const [port = 0, tlsPort = 0] = await freePorts(2);
      let records = fillIn(template('trafficserver.records.config'), {
        port,
        tls: tlsPort,
        memory: memoryMebibytes,
        certificates: certificates ?? folder,
      });
      if (certificates === undefined) records = records.replace(`${tlsPort}:ip-in=127.0.0.1:ssl`, '');
      const store = Math.max(STORE_MEBIBYTES.least, STORE_MEBIBYTES.perMemory * memoryMebibytes);
      const files = {
        'etc/records.config': records,
        'etc/remap.config': `map / http://127.0.0.1:${originPort}/\n`,
        'etc/storage.config': `${folder}/cache ${store}M\n`,
        'etc/ssl_multicert.config': certificates ? 'dest_ip=* ssl_cert_name=cert.pem ssl_key_name=key.pem\n' : '',
        'etc/ip_allow.yaml':
          'ip_allow:\n  - apply: in\n    ip_addrs: 127.0.0.0/8\n    action: allow\n    methods: ALL\n',
        'runroot.yaml': runRoot(folder, program),
      };
      for (const name of ['etc', 'cache', 'run', 'log', 'share']) mkdirSync(join(folder, name));
      for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
      const running = start('traffic_server', [program, `--run-root=${folder}/runroot.yaml`], {
        core: CORES.server,
        env: { ...process.env, TS_RUNROOT: `${folder}/runroot.yaml` },
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

/** Makes a runtime root, which it uses instead of the system's folders. */
function runRoot(folder: string, program: string): string {
  const programs = program.slice(0, program.lastIndexOf('/'));
  const paths = {
    prefix: folder,
    exec_prefix: folder,
    bindir: programs,
    sbindir: programs,
    sysconfdir: join(folder, 'etc'),
    datadir: join(folder, 'share'),
    includedir: folder,
    libdir: folder,
    libexecdir: MODULES.find((path) => existsSync(path)) ?? folder,
    localstatedir: join(folder, 'run'),
    runtimedir: join(folder, 'run'),
    logdir: join(folder, 'log'),
    mandir: folder,
    infodir: folder,
    cachedir: join(folder, 'cache'),
  };
  return Object.entries(paths)
    .map(([name, path]) => `${name}: ${path}\n`)
    .join('');
}
