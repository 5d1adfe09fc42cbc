/** The floor of a miss: a relay of bytes in Node; see relay.ts. @module */
import { join } from 'node:path';
import { freePorts } from '../../../test/support/ports.ts';
import { CORES, start, untilListening } from '../processes.ts';
import type { ServerKind } from '../server.ts';

const PROGRAM = join(import.meta.dirname, '../relay.ts');

export function relay(): ServerKind {
  return {
    name: 'relay',
    title: 'the floor of a miss (relay of bytes in Node)',
    version: process.versions.node,
    abilities: new Set(['relay']),
    configs: () => ({}),

    async start({ originPort }) {
      const [port = 0] = await freePorts(1);
      const running = start('relay', [process.execPath, PROGRAM, String(port), String(originPort)], {
        core: CORES.server,
      });
      await untilListening(running, port);
      return { kind: this, running, port, tlsPort: undefined, stop: () => running.stop() };
    },
  };
}
