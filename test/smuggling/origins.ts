/**
 * Origins that are not ours, each with a record of what it took for a request: Node, nginx, Apache httpd and Caddy.
 * Each answers every target with its path in `X-Echo`, behind a relay that counts how many answers it wrote, so
 * that an answer to bytes which never became a request in its log shows, too.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startNginx } from '../support/nginx.ts';
import { freePort } from '../support/ports.ts';
import { ask } from '../support/visitor.ts';

/** A request as an origin's log has it. */
export interface Taken {
  readonly method: string;
  readonly target: string;
  /** Value of Via; empty where there was none. */
  readonly via: string;
}

export interface RecordingOrigin {
  readonly name: string;
  readonly url: string;
  /** Requests that it took so far, in order. */
  taken(): Promise<readonly Taken[]>;
  /** Final answers that it wrote so far. */
  answers(): number;
  close(): Promise<void>;
}

/** Time limit for a first answer, and for a line in a log. */
const PATIENCE_MS = 15_000;

const STARTS: Readonly<Record<string, () => Promise<Server>>> = { node, nginx, httpd, caddy };

export const ORIGINS = Object.keys(STARTS);

/** Program without the relay in front of it. */
interface Server {
  readonly address: string;
  taken(): Promise<readonly Taken[]>;
  close(): Promise<void>;
}

export async function startRecordingOrigin(name: string): Promise<RecordingOrigin> {
  const start = STARTS[name];
  if (start === undefined) throw new Error(`no origin ${name}`);
  const server = await start();
  const relay = await startCounting(server.address);
  return {
    name,
    url: `http://${relay.address}`,
    taken: () => server.taken(),
    answers: relay.answers,
    close: async () => {
      await relay.close();
      await server.close();
    },
  };
}

async function node(): Promise<Server> {
  const taken: Taken[] = [];
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const { method = '', url = '', headers } = request;
    taken.push({ method, target: url, via: headers.via ?? '' });
    request.resume();
    response.writeHead(200, { 'X-Echo': url, 'Cache-Control': 'no-store' }).end(url);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken: async () => [...taken],
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function nginx(): Promise<Server> {
  const settings = `keepalive_requests 1000000; client_max_body_size 0;
    add_header X-Echo $request_uri always; add_header Cache-Control no-store always;
    location / { return 200 "$request_uri"; }`;
  const server = await startNginx(tmpdir(), settings, "log_format line '$request|$http_via';");
  return {
    address: server.address,
    taken: async () => (await server.log()).map(fromLine),
    close: () => server.close(),
  };
}

const MODULES = ['mpm_event', 'authz_core', 'alias', 'headers', 'dir'];

async function httpd(): Promise<Server> {
  const folder = temporaryFolder('httpd');
  const port = await freePort();
  writeFileSync(join(folder, 'page'), 'page');
  writeFileSync(
    join(folder, 'httpd.conf'),
    `ServerRoot ${folder}
ServerName origin.test
${MODULES.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
Listen 127.0.0.1:${port}
PidFile ${folder}/pid
DefaultRuntimeDir ${folder}
User www-data
Group www-data
ErrorLog ${folder}/error.log
LogFormat "%r|%{Via}i" line
CustomLog ${folder}/access.log line
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
StartServers 1
DocumentRoot ${folder}
AliasMatch "^/.*" "${folder}/page"
Header always set X-Echo "expr=%{REQUEST_URI}"
Header always set Cache-Control no-store
<Directory ${folder}>
  Require all granted
</Directory>
`,
  );
  return startProgram('apache2', '/usr/sbin/apache2', ['-D', 'FOREGROUND', '-f', join(folder, 'httpd.conf')], {
    folder,
    port,
    read: (text) => text.split('\n').slice(0, -1).map(fromLine),
  });
}

async function caddy(): Promise<Server> {
  const folder = temporaryFolder('caddy');
  const port = await freePort();
  writeFileSync(
    join(folder, 'Caddyfile'),
    `{
  admin off
  auto_https off
}
http://:${port} {
  bind 127.0.0.1
  log {
    output file ${folder}/access.log
    format json
  }
  header X-Echo {uri}
  header Cache-Control no-store
  respond "{uri}"
}
`,
  );
  const config = join(folder, 'Caddyfile');
  return startProgram('caddy', '/usr/bin/caddy', ['run', '--adapter', 'caddyfile', '--config', config], {
    folder,
    port,
    read: (text) => text.split('\n').slice(0, -1).map(fromCaddy),
  });
}

interface Program {
  readonly folder: string;
  readonly port: number;
  /** Requests of the text of its access log. */
  read(text: string): Taken[];
}

async function startProgram(name: string, path: string, args: readonly string[], program: Program): Promise<Server> {
  if (!existsSync(path))
    throw new Error(`${path} is missing: apt-get install ${name === 'caddy' ? name : 'apache2-bin'}`);
  const { folder, port } = program;
  // Ended as well when this process is killed and runs no teardown.
  const child = spawn('/usr/bin/setpriv', ['--pdeathsig=TERM', '--', path, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, HOME: folder },
  });
  let complaint = '';
  child.stderr.on('data', (text: Buffer) => {
    complaint = (complaint + text.toString()).slice(-4_000);
  });
  const address = `127.0.0.1:${port}`;
  await until(`${name} answers`, async () => {
    if (child.exitCode !== null) throw new Error(`${name} does not start: ${complaint}`);
    return ask(address, '/').then(
      () => true,
      () => false,
    );
  });
  const log = join(folder, 'access.log');
  let marks = 0;
  const taken = async (): Promise<readonly Taken[]> => {
    // Lines are written in order, but after the answers: when the line of one more question is there, all are.
    const mark = `/mark-${++marks}`;
    await ask(address, mark);
    const read = (): Taken[] => program.read(readFileSync(log, 'latin1'));
    await until(`${name} has written its log`, async () => read().some(({ target }) => target === mark));
    return read().filter(({ target, via }) => via !== '' || (target !== '/' && !target.startsWith('/mark-')));
  };
  return { address, taken, close: () => end(child, folder) };
}

async function end(child: ChildProcess, folder: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
  }
  rmSync(folder, { recursive: true, force: true });
}

function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `seawall-${name}-`));
  chmodSync(folder, 0o755); // httpd reads it as another user
  return folder;
}

/** A line such as `GET /x HTTP/1.1|1.1 seawall`. */
function fromLine(line: string): Taken {
  const bar = line.lastIndexOf('|');
  const [method = '', target = ''] = line.slice(0, bar).split(' ');
  const via = line.slice(bar + 1);
  return { method, target, via: via === '-' ? '' : via };
}

function fromCaddy(line: string): Taken {
  const { request } = JSON.parse(line) as {
    request: { method: string; uri: string; headers: Readonly<Record<string, readonly string[]>> };
  };
  return { method: request.method, target: request.uri, via: request.headers['Via']?.join(', ') ?? '' };
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await delay(10); // these programs tell nobody
  }
}

/** A relay that counts status lines of final answers. */
async function startCounting(target: string): Promise<{ address: string; answers(): number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const colon = target.lastIndexOf(':');
  let answers = 0;
  const server = createTcpServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ host: target.slice(0, colon), port: Number(target.slice(colon + 1)), allowHalfOpen: true });
    let tail = '';
    far.on('data', (chunk: Buffer) => {
      const text = tail + chunk.toString('latin1');
      answers += [...text.matchAll(/HTTP\/1\.[01] [2-5]\d\d/g)].length;
      tail = text.slice(-11); // one character less than a status line takes
    });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('error', () => undefined); // either side may go away
      from.once('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    answers: () => answers,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
