/**
 * `seawall serve`: one edge in front of one site, without a region file.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { problemWithout } from '../config/document.ts';
import { loadSite } from '../config/load.ts';
import { ConfigError, type ConfigProblem, quote } from '../config/problem.ts';
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
import { type NodePlan, plansOf, startNode } from './nodes.ts';
import { closeLimitMs, logLevel, RUN_ABOUT, RUN_OPTIONS, run } from './run.ts';

const DEFAULT_LISTEN = '127.0.0.1:8080';
const DEFAULT_MEMORY = '256MiB';

const NODE_NAME = 'edge';
const COMMAND_LINE = 'command line';

export const serve = defineCommand({
  name: 'serve',
  summary: 'Put one cache in front of a site, without a region file.',
  about: `
Runs one edge that asks the origin itself. What the origin says about caching
counts; a site file (the keys that a site has in a region file) says the rest.
The origin sees the host name that the visitor asked for; one that wants its own
needs a site file with \`origin: { host_header: origin }\`.
${RUN_ABOUT}`,
  options: {
    origin: {
      type: 'text',
      value: 'URL',
      required: true,
      help: 'Where the site’s own server is: http://HOST[:PORT] or https://HOST[:PORT].',
    },
    listen: { type: 'text', value: 'HOST:PORT', help: `Where visitors come in. By default ${DEFAULT_LISTEN}.` },
    memory: { type: 'text', value: 'SIZE', help: `Memory for stored responses. By default ${DEFAULT_MEMORY}.` },
    workers: {
      type: 'text',
      value: 'N',
      help: 'Processes that share the work and the memory. By default one for each core.',
    },
    site: { type: 'text', value: 'FILE', help: 'Rules, cache key, headers and so on, in YAML.' },
    ...RUN_OPTIONS,
  },
  examples: [
    '--origin http://127.0.0.1:3000 --listen 127.0.0.1:8080',
    '--origin https://www.example.com --listen 0.0.0.0:80 --memory 1GiB --site config/sites/demo.yaml',
  ],

  async run(values) {
    const { origin, listen = DEFAULT_LISTEN, memory = DEFAULT_MEMORY, site: file, json } = values;
    const workers = workersOption(values.workers);
    const level = logLevel(values['log-level']);
    const log = createLog({ name: NODE_NAME, level });
    const loadRegion = () => regionAround(siteOf(origin, file), { listen, memory, workers, file });
    let region = loadRegion();

    return run(
      async () => {
        const node = await startNode(onlyPlan(region), log, (_key, message, fix) => onOption('listen', message, fix));
        return {
          nodes: [node],
          get closeLimitMs() {
            return closeLimitMs([region]);
          },
          reload() {
            if (file === undefined) {
              log.info('there is no site file to read again');
              return;
            }
            region = loadRegion();
            node.reload([region]);
            log.info('the site file was read again');
          },
          close: () => node.close(),
        };
      },
      { level, json },
    );
  },
});

function siteOf(origin: string, file: string | undefined): SiteConfig {
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

interface Settings {
  readonly listen: string;
  readonly memory: string;
  /** `undefined`: one for each core. */
  readonly workers: number | undefined;
  readonly file: string | undefined;
}

/** A region of one edge. Its tier listener is for nobody: loopback, any port, a secret that is told to no one. */
function regionAround(site: SiteConfig, { listen, memory, workers, file }: Settings): RegionConfig {
  const body = regionSchema.omit({ sites: true }).safeParse({
    region: 'local',
    tier_secret: randomBytes(32).toString('base64url'),
    memory,
    edges: [{ name: NODE_NAME, listen, tier: '127.0.0.1:0', workers }],
  });
  if (!body.success) {
    const badListen = onOption(
      'listen',
      `expected HOST:PORT, found ${quote(listen)}`,
      `Write for example --listen ${DEFAULT_LISTEN}.`,
    );
    const badMemory = onOption(
      'memory',
      `expected a size, found ${quote(memory)}`,
      `Write for example --memory ${DEFAULT_MEMORY}.`,
    );
    throw new ConfigError(body.error.issues.map(({ path }) => (path.includes('listen') ? badListen : badMemory)));
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
