/**
 * WordPress as an origin: Debian's package with a MariaDB, a PHP-FPM and an
 * nginx of its own in a temporary folder, set up as docs/wordpress.md says.
 * @module
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Nginx, startNginx } from '../support/nginx.ts';
import { ask, HOST } from '../support/visitor.ts';
import { recipeBlock } from './recipe.ts';

const run = promisify(execFile);

const PACKAGE = '/usr/share/wordpress';
const FIXTURES = join(import.meta.dirname, 'site');

/** Time for a daemon to listen. */
const PATIENCE_MS = 30_000;

/** PHP's own limits for what is uploaded, and no mail. */
const PHP_SETTINGS = {
  upload_max_filesize: '32M',
  post_max_size: '32M',
  memory_limit: '256M',
  log_errors: 'on',
  display_errors: 'off',
  sendmail_path: '/bin/true',
  'opcache.enable_cli': 'off',
};

/** A request as WordPress' web server logged it. */
export interface OriginRequest {
  readonly method: string;
  readonly target: string;
  readonly status: number;
  readonly cookie: string;
  /** Address of the visitor, as WordPress sees it. */
  readonly visitor: string;
  readonly override: string;
}

export interface WordPress {
  /** HOST:PORT of its web server. */
  readonly address: string;
  readonly version: string;
  /** Requests that its web server has got so far. */
  requests(): Promise<readonly OriginRequest[]>;
  /** Runs PHP inside it. @returns What that prints. */
  php(code: string): Promise<string>;
  /** Messages of all daemons, for a test that failed. */
  logs(): string;
  close(): Promise<void>;
}

/** MariaDB and PHP's workers refuse to run as root: each has the user then that Debian gives it. */
const IS_ROOT = process.getuid?.() === 0;

export async function startWordPress(): Promise<WordPress> {
  const programs = findPrograms();
  const folder = mkdtempSync(join(tmpdir(), 'seawall-wordpress-'));
  const log = join(folder, 'daemons.log');
  const children: ChildProcess[] = [];
  let nginx: Nginx | undefined;

  const start: Start = (user, program, args) => {
    const file = openSync(log, 'a');
    const identity = user === undefined ? [] : [`--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
    // Ended as well when this process is killed and runs no teardown.
    const wrapped = ['--pdeathsig=TERM', ...identity, '--', program, ...args];
    const child = spawn('/usr/bin/setpriv', wrapped, { stdio: ['ignore', file, file], cwd: folder });
    closeSync(file);
    children.push(child);
    return child;
  };
  const close = async (): Promise<void> => {
    await nginx?.close();
    await Promise.all(children.map(end));
    rmSync(folder, { recursive: true, force: true });
  };
  const logs = (): string => (existsSync(log) ? readFileSync(log, 'latin1') : '');

  try {
    chmodSync(folder, 0o711); // the daemons' users look for their files in it
    const site = join(folder, 'site');
    await Promise.all([copySite(site), startDatabase(folder, programs, start)]);
    const version = await php(programs, site, ['-f', join(FIXTURES, 'install.php')]);
    // What PHP made as root, PHP-FPM's user has to be able to change.
    if (IS_ROOT) await run('chown', ['-R', 'www-data', join(site, 'wp-content')]);
    await startPhpServer(folder, programs, start);
    nginx = await startNginx(site, nginxSettings(folder), LOG_FORMAT);
    const { address } = nginx;
    const log = nginx.log;
    return {
      address,
      version,
      requests: async () => (await log()).map(requestOf),
      php: (code) => runInside(address, code),
      logs,
      close,
    };
  } catch (error) {
    const output = logs();
    await close();
    throw new Error(`WordPress does not start: ${error instanceof Error ? error.message : error}\n${output}`);
  }
}

interface Programs {
  readonly php: string;
  readonly phpServer: string;
  readonly database: string;
  readonly databaseInstaller: string;
  readonly databaseClient: string;
}

function findPrograms(): Programs {
  const find = (pattern: string, name: string): string => {
    const found = globSync(pattern).at(-1);
    if (found === undefined) throw new Error(`${pattern} is missing: apt-get install ${name}`);
    return found;
  };
  find(`${PACKAGE}/wp-load.php`, 'wordpress');
  find(`${PACKAGE}/wp-content/themes/twentytwentyone/style.css`, 'wordpress-theme-twentytwentyone');
  find('/etc/php/*/cli/conf.d/*-mysqli.ini', 'php-mysql');
  find('/etc/php/*/cli/conf.d/*-gd.ini', 'php-gd');
  return {
    php: find('/usr/bin/php', 'php-cli'),
    phpServer: find('/usr/sbin/php-fpm*', 'php-fpm'),
    database: find('/usr/sbin/mariadbd', 'mariadb-server'),
    databaseInstaller: find('/usr/bin/mariadb-install-db', 'mariadb-server'),
    databaseClient: find('/usr/bin/mariadb', 'mariadb-server'),
  };
}

/** Starts a daemon, as this user if one is given. */
type Start = (user: string | undefined, program: string, args: readonly string[]) => ChildProcess;

async function copySite(site: string): Promise<void> {
  // Links of the package point into other packages; PHP's __DIR__ would follow a link to the folder itself.
  await run('cp', ['-aL', PACKAGE, site]);
  for (const name of ['wp-config.php', 'run.php']) copyFileSync(join(FIXTURES, name), join(site, name));
  writeFileSync(join(site, 'recipe.php'), `<?php\n${recipeBlock('php')}`);
  mkdirSync(join(site, 'wp-content/uploads'), { recursive: true });
  cpSync(join(FIXTURES, 'mu-plugins'), join(site, 'wp-content/mu-plugins'), { recursive: true });
}

async function startDatabase(folder: string, programs: Programs, start: Start): Promise<void> {
  const data = join(folder, 'db');
  const socket = join(data, 'socket'); // the daemon's user may write nowhere else
  mkdirSync(data);
  if (IS_ROOT) await run('chown', ['mysql', data]);
  await run(programs.databaseInstaller, [
    ...['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db'],
    ...['--innodb-log-file-size=8M', ...(IS_ROOT ? ['--user=mysql'] : [])],
  ]);
  const child = start(IS_ROOT ? 'mysql' : undefined, programs.database, [
    ...['--no-defaults', `--datadir=${data}`, `--socket=${socket}`, '--skip-networking', '--skip-log-bin'],
    ...[`--pid-file=${data}/pid`, '--innodb-buffer-pool-size=32M', '--innodb-log-file-size=8M'],
    '--innodb-flush-log-at-trx-commit=0',
  ]);
  await listening(child, socket);
  const grant =
    "CREATE DATABASE wordpress; CREATE USER wordpress@localhost IDENTIFIED BY 'wordpress'; " +
    'GRANT ALL ON wordpress.* TO wordpress@localhost';
  await run(programs.databaseClient, ['--no-defaults', `--socket=${socket}`, '--user=root', '-e', grant]);
}

async function startPhpServer(folder: string, programs: Programs, start: Start): Promise<void> {
  const socket = join(folder, 'php.sock');
  const config = join(folder, 'php-fpm.conf');
  writeFileSync(
    config,
    `[global]
error_log = /dev/stderr
daemonize = no
[www]
listen = ${socket}
listen.mode = 0666
${IS_ROOT ? 'user = www-data\ngroup = www-data' : ''}
pm = static
pm.max_children = 4
catch_workers_output = yes
php_admin_value[error_log] = /dev/stderr
${Object.entries(PHP_SETTINGS)
  .map(([name, value]) => `php_admin_value[${name}] = ${value}`)
  .join('\n')}
`,
  );
  await listening(start(undefined, programs.phpServer, ['--nodaemonize', '--fpm-config', config]), socket);
}

const LOG_FORMAT = `log_format line '$request\\t$status\\t$http_cookie\\t$remote_addr\\t$http_x_http_method_override';`;

function requestOf(line: string): OriginRequest {
  const [request = '', status = '', cookie = '', visitor = '', override = ''] = line.split('\t');
  const [method = '', target = ''] = request.split(' ');
  return { method, target, status: Number(status), cookie, visitor, override };
}

function nginxSettings(folder: string): string {
  return `
    index index.php;
    client_max_body_size 32m;
    ${recipeBlock('nginx').replaceAll('10.0.0.3', '127.0.0.1')}
    location ^~ /mark- { return 204; }
    location / { try_files $uri $uri/ /index.php?$args; }
    location ~ \\.php$ {
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME $request_filename;
      fastcgi_pass unix:${folder}/php.sock;
    }`;
}

/** Runs PHP by the web server, where it is compiled already. */
async function runInside(address: string, code: string): Promise<string> {
  const headers = { Host: HOST, 'X-Forwarded-Proto': 'https', 'Content-Type': 'text/plain' };
  const { status, text } = await ask(address, '/run.php', { method: 'POST', headers, body: code });
  if (status !== 200) throw new Error(`${status} for ${code}: ${text}`);
  return text;
}

async function php(programs: Programs, site: string, args: readonly string[]): Promise<string> {
  const settings = Object.entries(PHP_SETTINGS).flatMap(([name, value]) => ['-d', `${name}=${value}`]);
  const { stdout } = await run(programs.php, [...settings, ...args], {
    cwd: site,
    env: {
      HTTP_HOST: 'site.test',
      HTTP_X_FORWARDED_PROTO: 'https',
      SERVER_PROTOCOL: 'HTTP/1.1',
      PATH: '/usr/bin:/bin',
    },
    maxBuffer: 16 * 1024 * 1024,
  });
  return stdout;
}

/** Resolves when the daemon accepts connections at its socket. */
async function listening(child: ChildProcess, path: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with ${child.exitCode}`);
    if (await accepts(path)) return;
    if (performance.now() > deadline) throw new Error(`${child.spawnfile} does not listen`);
    await delay(20); // neither daemon says when it is ready
  }
}

function accepts(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  socket.once('connect', () => resolve(true));
  socket.once('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM'); // PHP-FPM ends its workers on this, and not when it is killed
  await exited;
}
