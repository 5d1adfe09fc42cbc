/** Varnish, with its storage in memory. @module */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../../../test/support/ports.ts';
import { coreFor, printed, programOf, removeFolder, start, temporaryFolder, untilListening } from '../processes.ts';
import { fillIn, type ServerKind, template } from '../server.ts';

export function varnish(): ServerKind {
  const program = programOf('varnishd');
  const command = (folder: string, port: number | string, memory: number | string): string[] => [
    'varnishd',
    '-F',
    ...['-j', 'none'],
    ...['-n', folder],
    ...['-a', `127.0.0.1:${port}`],
    ...['-f', join(folder, 'bench.vcl')],
    ...['-s', `malloc,${memory}m`],
    ...['-p', 'thread_pools=2'],
    ...['-p', 'thread_pool_min=50'],
    ...['-p', 'thread_pool_max=1000'],
    ...['-p', 'timeout_idle=75'],
    ...['-p', 'listen_depth=4096'],
    ...['-T', 'none'],
  ];
  const shown = command('{{folder}}', '{{port}}', '{{memory}}').join(' ');
  return {
    name: 'varnish',
    title: 'Varnish',
    version: program && /varnish-([\d.]+)/.exec(printed([program, '-V']))?.[1],
    abilities: new Set(['cache']),
    configs: () => ({ 'varnish.vcl': template('varnish.vcl').replace('{{command}}', shown) }),

    async start({ originPort }, { memoryMebibytes, threads }) {
      if (program === undefined) throw new Error('Varnish is not installed');
      const folder = temporaryFolder('varnish');
      const [port = 0] = await freePorts(1);
      const arguments_ = command(folder, port, memoryMebibytes).slice(1);
      const values = { origin: originPort, command: shown };
      writeFileSync(join(folder, 'bench.vcl'), fillIn(template('varnish.vcl'), values));
      const running = start('varnishd', [program, ...arguments_], { core: coreFor(threads) });
      await untilListening(running, port);
      return {
        kind: this,
        running,
        port,
        tlsPort: undefined,
        async stop() {
          await running.stop();
          removeFolder(folder);
        },
      };
    },
  };
}
