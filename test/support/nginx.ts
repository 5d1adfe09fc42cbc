/**
 * nginx as an origin: a child process that serves a folder, with a log of what
 * it was asked.
 * @module
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './ports.ts';
import { ask } from './visitor.ts';

const PROGRAM = '/usr/sbin/nginx';

/** Time limit for its first answer, and for a line in its log. */
const PATIENCE_MS = 10_000;

export interface Nginx {
  /** HOST:PORT. */
  readonly address: string;
  /** Number of requests that it has answered. */
  requests(): Promise<number>;
  /** Lines of its access log so far. */
  log(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Format of a line in the access log: the request line and the status. */
const REQUEST_AND_STATUS = "log_format line '$request $status';";

/**
 * @param settings - Further lines for the `server` block.
 * @param format - `log_format` directive for `line`; each line begins with the request line.
 */
export async function startNginx(root: string, settings = '', format = REQUEST_AND_STATUS): Promise<Nginx> {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: apt-get install nginx`);
  const folder = mkdtempSync(join(tmpdir(), 'seawall-nginx-'));
  const log = join(folder, 'access.log');
  const address = `127.0.0.1:${await freePort()}`;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const config = join(folder, 'nginx.conf');
  writeFileSync(
    config,
    `daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr warn;
events {}
http {
  include /etc/nginx/mime.types;
  ${format}
  access_log ${log} line;
${temporary.map((name) => `  ${name}_temp_path ${folder}/${name};`).join('\n')}
  server {
    listen ${address};
    root ${root};
    index index.html;
    ${settings}
  }
}
`,
  );
  // Ended as well when this process is killed and runs no teardown.
  const child = spawn(
    '/usr/bin/setpriv',
    [...['--pdeathsig=KILL', '--', PROGRAM, '-p', folder, '-c', config, '-e', 'stderr']],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let complaint = '';
  child.stderr.on('data', (text: Buffer) => {
    complaint += text.toString();
  });
  const exited = once(child, 'exit');
  const close = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  const answers = async (): Promise<boolean> => {
    if (child.exitCode !== null) throw new Error(`nginx does not start: ${complaint}`);
    return ask(address, '/').then(
      () => true,
      () => false,
    );
  };
  let marks = 0;
  const lines = (): string[] => readFileSync(log, 'latin1').split('\n').slice(0, -1);
  const isMark = (line: string): boolean => line.startsWith('GET /mark-');
  try {
    await until(answers);
    const entries = async (): Promise<string[]> => {
      // Lines are written in order, but after the answers: one more question, and its line tells that all are there.
      const mark = `GET /mark-${++marks} `;
      await ask(address, mark.slice('GET '.length, -1));
      await until(async () => lines().some((line) => line.startsWith(mark)));
      return lines().filter((line) => !isMark(line));
    };
    const before = (await entries()).length;
    const log = async (): Promise<string[]> => (await entries()).slice(before);
    return { address, requests: async () => (await log()).length, log, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('nginx does not answer');
    await delay(10); // nginx tells nobody when it is ready
  }
}
