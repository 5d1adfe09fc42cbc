/**
 * `seawall serve`: one edge in front of one site, without a region file.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { certificateProblems } from '../config/check-tls.ts';
import { problemWithout, type Source } from '../config/document.ts';
import { loadSite } from '../config/load.ts';
import { ConfigError, type ConfigProblem, type KeyPath, quote } from '../config/problem.ts';
import {
  edgeSchema,
  originSchema,
  type RegionConfig,
  regionSchema,
  type SiteConfig,
  siteSchema,
} from '../config/schema.ts';
import { createLog } from '../telemetry/log.ts';
import { defineCommand } from './command.ts';
import { UsageError } from './failure.ts';
import { handoverOf, type NodePlan, plansOf, startNode } from './nodes.ts';
import { closeLimitMs, logLevel, RUN_ABOUT, RUN_OPTIONS, run } from './run.ts';

const DEFAULT_LISTEN = '127.0.0.1:8080';
const DEFAULT_MEMORY = '256MiB';
const DEFAULT_DISK_SIZE = '10GiB';

const NODE_NAME = 'edge';
const COMMAND_LINE = 'command line';

export const serve = defineCommand({
  name: 'serve',
  summary: 'Put one cache in front of a site, without a region file.',
  about: `
Runs one edge that asks the origin itself. What the origin says about caching
counts; a site file (the keys that a site has in a region file) says the rest.
The origin sees the host name that the visitor asked for; one that wants its own
needs --host-header origin.
${RUN_ABOUT}`,
  options: {
    origin: {
      type: 'text',
      value: 'URL',
      required: true,
      help: 'Where the site’s own server is: http://HOST[:PORT] or https://HOST[:PORT].',
    },
    'host-header': {
      type: 'text',
      value: 'HOST',
      help: 'Host for the origin: a name, `origin` for that of its URL, or `visitor` (by default).',
    },
    listen: { type: 'text', value: 'HOST:PORT', help: `Address for visitors. Default: ${DEFAULT_LISTEN}.` },
    'listen-tls': { type: 'text', value: 'HOST:PORT', help: 'Address for visitors with TLS: HTTP/2 and HTTP/1.1.' },
    'tls-cert': { type: 'text', value: 'FILE', help: 'Certificate for --listen-tls (PEM), unless in the site file.' },
    'tls-key': { type: 'text', value: 'FILE', help: 'The certificate’s private key (PEM).' },
    control: { type: 'text', value: 'HOST:PORT', help: 'Address of /metrics and /healthz. Default: none.' },
    memory: { type: 'text', value: 'SIZE', help: `Memory for stored responses. By default ${DEFAULT_MEMORY}.` },
    disk: {
      type: 'text',
      value: 'DIR',
      help: 'Folder for stored responses, which a restart finds again. Default: none.',
    },
    'disk-size': { type: 'text', value: 'SIZE', help: `Space for them, with --disk. By default ${DEFAULT_DISK_SIZE}.` },
    workers: {
      type: 'text',
      value: 'N',
      help: 'Threads that share the work and the memory. By default one for each core.',
    },
    'access-log': {
      type: 'text',
      value: 'FILE',
      help: 'Access log, one line of JSON per response; `-`: standard output.',
    },
    site: { type: 'text', value: 'FILE', help: 'Rules, cache key, headers and so on, in YAML.' },
    ...RUN_OPTIONS,
  },
  examples: [
    '--origin http://127.0.0.1:3000 --listen 127.0.0.1:8080',
    '--origin http://10.0.0.9:3000 --listen 0.0.0.0:80 --memory 1GiB --site shop.yaml',
    '--origin https://www.example.com --host-header origin',
  ],

  async run(values) {
    const { origin, listen = DEFAULT_LISTEN, memory = DEFAULT_MEMORY, site: file, json } = values;
    const workers = workersOption(values.workers);
    const level = logLevel(values['log-level']);
    const log = createLog({ name: NODE_NAME, level });
    const tls = tlsOptions(values);
    const named = values['access-log'];
    const accessLog = named === undefined || named === '-' ? named : resolve(named);
    const { control } = values;
    const disk = diskOption(values.disk, values['disk-size']);
    const settings = { listen, listenTls: values['listen-tls'], control, memory, workers, disk, file, accessLog };
    const hostHeader = values['host-header'];
    const loadRegion = () => regionAround(withHostHeader(siteOf(origin, file, tls), hostHeader), settings);
    let region = loadRegion();

    return run(
      async () => {
        const node = await startNode(onlyPlan(region), log, (key, message, fix) =>
          onOption(LISTEN_OPTIONS[key] ?? 'listen', message, fix),
        );
        return {
          nodes: [node],
          get closeLimitMs() {
            return closeLimitMs([region]);
          },
          reload() {
            if (file === undefined) {
              log.info('no site file to reload');
              return;
            }
            region = loadRegion();
            node.reload([region]);
            log.info('site file reloaded');
          },
          handover: handoverOf(() => [node]),
          close: () => node.close(),
        };
      },
      { level, json, logsToOutput: accessLog === '-' },
    );
  },
});

function withHostHeader(site: SiteConfig, hostHeader: string | undefined): SiteConfig {
  if (hostHeader === undefined) return site;
  const parsed = originSchema.shape.host_header.safeParse(hostHeader);
  if (parsed.success) return { ...site, origin: { ...site.origin, host_header: parsed.data } };
  const message = `expected a host name, \`origin\` or \`visitor\`, found ${quote(hostHeader)}`;
  throw new ConfigError([onOption('host-header', message, 'Write for example --host-header www.example.com.')]);
}

type TlsFiles = NonNullable<SiteConfig['tls']>;

function tlsOptions(values: {
  'tls-cert': string | undefined;
  'tls-key': string | undefined;
  'listen-tls': string | undefined;
}): TlsFiles | undefined {
  const { 'tls-cert': cert_file, 'tls-key': key_file, 'listen-tls': listen } = values;
  if (cert_file !== undefined && key_file !== undefined && listen !== undefined) return { cert_file, key_file };
  if (cert_file === undefined && key_file === undefined) return undefined;
  const missing = listen === undefined ? 'listen-tls' : cert_file === undefined ? 'tls-cert' : 'tls-key';
  throw new UsageError(`--${missing} is missing`, 'Give --listen-tls, --tls-cert and --tls-key together.');
}

/** A site that is to be served as the options say, too. */
function siteOf(origin: string, file: string | undefined, tls: TlsFiles | undefined): SiteConfig {
  const site = siteOfFile(origin, file);
  if (tls === undefined) return site;
  const secured = { ...site, tls };
  const onOptions = {
    problem: (path: KeyPath, message: string, fix: string) =>
      onOption(TLS_OPTIONS[String(path.at(-1))] ?? '', message, fix),
  };
  const problems = certificateProblems(secured, onOptions as Source);
  if (problems.length > 0) throw new ConfigError(problems);
  return secured;
}

const TLS_OPTIONS: Readonly<Record<string, string>> = { cert_file: 'tls-cert', key_file: 'tls-key' };

function siteOfFile(origin: string, file: string | undefined): SiteConfig {
  if (!originSchema.safeParse({ servers: [{ url: origin }] }).success) {
    const message = `expected http://HOST[:PORT] or https://HOST[:PORT], without a path, found ${quote(origin)}`;
    throw new ConfigError([onOption('origin', message, 'Write for example --origin http://127.0.0.1:3000.')]);
  }
  if (file !== undefined) return loadSite(file, { origin });
  return siteSchema.parse({ name: 'site', hosts: ['*'], origin: { servers: [{ url: origin }] } });
}

function workersOption(option: string | undefined): number | undefined {
  if (option === undefined) return undefined;
  const number = Number(option);
  if (/^\d+$/.test(option) && edgeSchema.shape.workers.safeParse(number).success) return number;
  const message = `expected a whole number from 1 to 256, found ${quote(option)}`;
  throw new ConfigError([onOption('workers', message, 'Write for example --workers 2.')]);
}

function diskOption(path: string | undefined, size: string | undefined): Settings['disk'] {
  if (path === undefined && size !== undefined)
    throw new UsageError('--disk is missing', 'Give --disk-size together with --disk.');
  return path === undefined ? undefined : { path: resolve(path), size: size ?? DEFAULT_DISK_SIZE };
}

/** Keys of an edge whose option has another name. */
const LISTEN_OPTIONS: Readonly<Record<string, string>> = { listen_tls: 'listen-tls', control: 'control' };

interface Settings {
  readonly listen: string;
  readonly listenTls: string | undefined;
  readonly control: string | undefined;
  readonly memory: string;
  /** `undefined`: one for each core. */
  readonly workers: number | undefined;
  readonly disk: { readonly path: string; readonly size: string } | undefined;
  readonly file: string | undefined;
  /** A path that is whole, or `-`. */
  readonly accessLog: string | undefined;
}

/** A region of one edge. Its tier listener is unused: loopback, any port, a random secret. */
function regionAround(site: SiteConfig, settings: Settings): RegionConfig {
  const { listen, listenTls, control, memory, workers, disk, file, accessLog } = settings;
  const body = regionSchema.omit({ sites: true }).safeParse({
    region: 'local',
    tier_secret: randomBytes(32).toString('base64url'),
    memory,
    access_log: accessLog,
    edges: [{ name: NODE_NAME, listen, listen_tls: listenTls, control, tier: '127.0.0.1:0', workers, disk }],
  });
  if (listenTls !== undefined && site.tls === undefined) {
    const fix = 'Give --tls-cert and --tls-key, or `tls` in the site file.';
    throw new ConfigError([onOption('listen-tls', 'there is no certificate to show there', fix)]);
  }
  if (!body.success) {
    const badAddress = (option: string, found: string | undefined, such: string): ConfigProblem =>
      onOption(option, `expected HOST:PORT, found ${quote(found ?? '')}`, `Write for example --${option} ${such}.`);
    throw new ConfigError(
      body.error.issues.map(({ path }) => {
        if (path.includes('listen_tls')) return badAddress('listen-tls', listenTls, '127.0.0.1:8443');
        if (path.includes('control')) return badAddress('control', control, '127.0.0.1:8200');
        if (path.includes('listen')) return badAddress('listen', listen, DEFAULT_LISTEN);
        if (path.includes('disk')) {
          const message = `expected a size of at least 256MiB, found ${quote(disk?.size ?? '')}`;
          return onOption('disk-size', message, `Write for example --disk-size ${DEFAULT_DISK_SIZE}.`);
        }
        const example = `Write for example --memory ${DEFAULT_MEMORY}.`;
        return onOption('memory', `expected a size, found ${quote(memory)}`, example);
      }),
    );
  }
  return { ...body.data, file: file ?? COMMAND_LINE, sites: [site], reachableShields: [] };
}

function onOption(option: string, message: string, fix: string): ConfigProblem {
  return problemWithout(COMMAND_LINE, `--${option}`, message, fix);
}

function onlyPlan(region: RegionConfig): NodePlan {
  const [plan] = plansOf([region]);
  if (!plan) throw new Error('a region without nodes');
  return plan;
}
