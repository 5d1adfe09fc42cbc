/**
 * The suite's own origin server, on loopback.
 * @module
 */
import { join } from 'node:path';
import { Child } from './child.ts';
import type { Suite } from './suite.ts';

const READY_WITHIN_MS = 10_000;

/** The suite's server listens on every address unless told otherwise; it also ends with its parent. */
const ON_LOOPBACK = `data:text/javascript,${encodeURIComponent(`
  import net from 'node:net';
  const { listen } = net.Server.prototype;
  net.Server.prototype.listen = function (port, ...rest) {
    return listen.call(this, Number(port), '127.0.0.1', ...rest);
  };
  process.once('disconnect', () => process.exit(1));
`)}`;

export interface Origin {
  readonly child: Child;
  readonly url: string;
}

/**
 * @param port - Where to listen; 0 takes a free port.
 * @param workDir - Where its pid file goes.
 * @param onLine - Called with each line that it prints.
 */
export async function startOrigin(
  suite: Suite,
  port: number,
  workDir: string,
  onLine: (line: string) => void,
): Promise<Origin> {
  const server = join(suite.engineDir, 'server/server.mjs');
  const child = new Child('the suite’s origin', ['--no-warnings', '--import', ON_LOOPBACK, server], {
    cwd: suite.dir,
    env: {
      npm_config_protocol: 'http',
      npm_config_port: String(port),
      npm_config_pidfile: join(workDir, 'origin.pid'),
    },
    ipc: true,
    onLine,
  });
  const url = await child.firstLine(
    (line) => /^Listening on (http:\/\/127\.0\.0\.1:\d+)\/$/.exec(line)?.[1],
    READY_WITHIN_MS,
  );
  return { child, url };
}
