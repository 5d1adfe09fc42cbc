/** The floor: an epoll loop in C that answers the same to everything; see floor.c. @module */
import { join } from 'node:path';
import { freePorts } from '../../../test/support/ports.ts';
import { compiled, compiler } from '../compile.ts';
import { CORES, start, untilListening } from '../processes.ts';
import type { ServerKind } from '../server.ts';

const SOURCE = join(import.meta.dirname, '../floor.c');
const BODY_BYTES = 1024;

export function floor(): ServerKind {
  return {
    name: 'floor',
    title: 'the floor (epoll loop in C)',
    version: compiler()?.version,
    abilities: new Set(['fixed']),
    configs: () => ({}),

    async start() {
      const [port = 0] = await freePorts(1);
      const running = start('floor', [await compiled(SOURCE), String(port), String(BODY_BYTES)], {
        core: CORES.server,
      });
      await untilListening(running, port);
      return { kind: this, running, port, tlsPort: undefined, stop: () => running.stop() };
    },
  };
}
