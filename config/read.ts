/**
 * A region file, the files that it includes and the region files that it takes
 * shields from, read and held against the schema. What only makes sense of
 * several keys together is checked afterwards (`check-region.ts`,
 * `check-site.ts`).
 * @module
 */
import { z } from 'zod';
import { problemWithout, readYaml, type Source } from './document.ts';
import { fingerprintOf } from './fingerprint.ts';
import { problemsOf } from './issues.ts';
import { includeJsonSchema, type JsonSchema, regionJsonSchema, siteJsonSchema } from './json-schema.ts';
import { realPath, siblingPath } from './path.ts';
import { type ConfigProblem, keyOf } from './problem.ts';
import { includeSchema, originSchema, type RegionConfig, regionSchema, type SiteConfig, siteSchema } from './schema.ts';

/** Variables for `${NAME}`: `process.env`, or a test's own. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A part of the config, and where it was written. */
export interface Placed<T> {
  readonly config: T;
  readonly source: Source;
}

/** A region file without its sites. */
export type RegionBody = Omit<z.output<typeof regionSchema>, 'sites'>;

/** Another region whose shields this one uses: the part of it that this one relies on. */
export type LinkedRegion = z.output<typeof linkedRegionSchema>;

/** Result of reading a region file: complete exactly when `problems` is empty. */
export interface RegionReading {
  readonly file: string;
  readonly body: Placed<RegionBody> | undefined;
  readonly sites: readonly Placed<SiteConfig>[];
  /** In the order of `shields_from`; `undefined` for one that could not be read. */
  readonly linkedRegions: readonly (Placed<LinkedRegion> | undefined)[];
  readonly problems: readonly ConfigProblem[];
}

/** Settings of a site from the command line, in place of its file. */
export interface SiteOverrides {
  /** URL of the origin server, in place of `origin.servers`. */
  readonly origin?: string;
}

const bodySchema = regionSchema.extend({ sites: z.array(z.unknown()).min(1).max(10_000) });
/** Other keys of that file are its own affair: it is checked when its nodes load it. */
const linkedRegionSchema = z.object(
  regionSchema.pick({
    region: true,
    network: true,
    tier_secret: true,
    tier_tls: true,
    shields: true,
    shields_from: true,
  }).shape,
);

const VARIABLE = /^\$\{(\w+)\}$/;
const VARIABLE_IN_TEXT = /\$\{\w+\}/;

/** Reads a region with everything that it refers to. Never throws for what is in a file. */
export function readRegion(file: string, env: Environment): RegionReading {
  const problems: ConfigProblem[] = [];
  const yaml = readYaml(file);
  if (!('source' in yaml)) return { file, body: undefined, sites: [], linkedRegions: [], problems: yaml };

  const { source } = yaml;
  const value = withSecrets(yaml.value, source, env, problems);
  const body = validate(bodySchema, value, regionJsonSchema, source, problems);
  const includedAt = new Map<string, string>();
  const sites = listAt(value, 'sites').flatMap((entry, index) => {
    const place = source.within(['sites', index]);
    if (!isMapping(entry) || !Object.hasOwn(entry, 'include')) return placed(entry, place, problems);
    const include = validate(includeSchema, entry, includeJsonSchema, place, problems)?.include;
    if (include === undefined) return [];

    const path = siblingPath(file, include);
    const refuse = (message: string, fix: string) => place.problem(['include'], message, fix);
    const before = includedAt.get(realPath(path));
    if (before !== undefined) {
      problems.push(refuse(`${before} includes this file already`, 'Remove it here.'));
      return [];
    }
    includedAt.set(realPath(path), keyOf(['sites', index]));
    return readIncluded(path, refuse, problems);
  });
  const linkedRegions = (body?.shields_from ?? []).map((other, index) => {
    const reach = (message: string, fix: string) => source.problem(['shields_from', index], message, fix);
    return readLinkedRegion(siblingPath(file, other), env, reach, problems);
  });
  return { file, body: body && { config: body, source }, sites, linkedRegions, problems };
}

/** @returns The config that a reading without problems amounts to. */
export function assembleRegion(reading: RegionReading): RegionConfig {
  if (!reading.body) throw new TypeError(`${reading.file} has problems`);
  const body = reading.body.config;
  const foreign = reading.linkedRegions.flatMap((linkedRegion) => linkedRegion?.config.shields ?? []);
  const region: RegionConfig = {
    ...body,
    file: reading.file,
    sites: reading.sites.map(({ config }) => config),
    reachableShields: [...body.shields, ...foreign],
  };
  return { ...region, fingerprint: fingerprintOf(region) };
}

/** Reads a site that is served on its own: `name`, `hosts` and `origin` may be left to the command line. */
export function readSite(
  file: string,
  overrides: SiteOverrides,
): { site: Placed<SiteConfig> | undefined; problems: readonly ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  const origin = overrides.origin === undefined ? undefined : originServers(overrides.origin, problems);
  const yaml = readYaml(file);
  if (!('source' in yaml)) return { site: undefined, problems: [...problems, ...yaml] };
  const config = validate(siteSchema, withOverrides(yaml.value, origin), siteJsonSchema, yaml.source, problems);
  return { site: config && { config: withPaths(config, yaml.source), source: yaml.source }, problems };
}

/** A site whose files are named from where this program runs. */
function withPaths(site: SiteConfig, { file }: Source): SiteConfig {
  if (site.tls === undefined) return site;
  const { cert_file, key_file } = site.tls;
  return { ...site, tls: { cert_file: siblingPath(file, cert_file), key_file: siblingPath(file, key_file) } };
}

function readIncluded(
  path: string,
  refuse: (message: string, fix: string) => ConfigProblem,
  problems: ConfigProblem[],
): Placed<SiteConfig>[] {
  const yaml = readYaml(path);
  if ('source' in yaml) return placed(yaml.value, yaml.source, problems);
  problems.push(...yaml.map((problem) => reachedFrom(problem, refuse)));
  return [];
}

/** A site where it is written, when it is one. */
function placed(value: unknown, source: Source, problems: ConfigProblem[]): Placed<SiteConfig>[] {
  const config = validate(siteSchema, value, siteJsonSchema, source, problems);
  return config ? [{ config: withPaths(config, source), source }] : [];
}

function readLinkedRegion(
  file: string,
  env: Environment,
  reach: (message: string, fix: string) => ConfigProblem,
  problems: ConfigProblem[],
): Placed<LinkedRegion> | undefined {
  const yaml = readYaml(file);
  if (!('source' in yaml)) {
    problems.push(...yaml.map((problem) => reachedFrom(problem, reach)));
    return undefined;
  }
  const { source } = yaml;
  const config = validate(
    linkedRegionSchema,
    withSecrets(yaml.value, source, env, problems),
    regionJsonSchema,
    source,
    problems,
  );
  return config && { config, source };
}

/** A file that cannot be read has no line of its own; the line that names it is the one to mend. */
function reachedFrom(problem: ConfigProblem, reach: (message: string, fix: string) => ConfigProblem): ConfigProblem {
  return problem.line > 0 ? problem : reach(`${problem.file}: ${problem.message}`, problem.fix);
}

/** Validates; what is refused is added to `problems`. */
function validate<T extends z.ZodType>(
  schema: T,
  value: unknown,
  jsonSchema: () => JsonSchema,
  source: Source,
  problems: ConfigProblem[],
): z.output<T> | undefined {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  problems.push(...problemsOf(result.error.issues, { value, schema, jsonSchema: jsonSchema(), source }));
  return undefined;
}

/** A key whose value may be `${NAME}`. */
interface SecretKey {
  readonly path: readonly string[];
  /** Pattern of the value once it is resolved. */
  readonly pattern: RegExp;
  readonly what: string;
  readonly command: string;
  /** Stands in for a secret that is not known, so that the rest of the file can be checked. */
  readonly unknown: string;
}

const TIER_SECRET: SecretKey = {
  path: ['tier_secret'],
  pattern: /^[\x21-\x7e]{16,256}$/,
  what: '16 to 256 printable characters without spaces',
  command: 'openssl rand -hex 32',
  unknown: 'x'.repeat(16),
};
const COOKIE_SECRETS = ['secret', 'previous_secret'].map(
  (key): SecretKey => ({
    path: ['dns', 'cookies', key],
    pattern: /^[0-9a-f]{32}$/,
    what: '32 hexadecimal digits in lower case',
    command: 'openssl rand -hex 16',
    unknown: '0'.repeat(32),
  }),
);
const ETCD_PASSWORD: SecretKey = {
  path: ['control', 'journal', 'etcd', 'password'],
  pattern: /^.{1,1024}$/s,
  what: 'a password of at most 1,024 characters',
  command: 'cat FILE',
  unknown: 'x',
};
const SECRET_KEYS: readonly SecretKey[] = [TIER_SECRET, ...COOKIE_SECRETS, ETCD_PASSWORD];

/** Replaces `${NAME}` in the keys that hold secrets. */
function withSecrets(value: unknown, source: Source, env: Environment, problems: ConfigProblem[]): unknown {
  return SECRET_KEYS.reduce((known, key) => withSecret(known, key.path, key, source, env, problems), value);
}

/** @param path - What is left of the way to the key, from `value` on. */
function withSecret(
  value: unknown,
  path: readonly string[],
  key: SecretKey,
  source: Source,
  env: Environment,
  problems: ConfigProblem[],
): unknown {
  const [step = '', ...rest] = path;
  if (!isMapping(value) || !Object.hasOwn(value, step)) return value;
  if (rest.length > 0) return { ...value, [step]: withSecret(value[step], rest, key, source, env, problems) };
  const written = value[step];
  return typeof written === 'string' ? { ...value, [step]: secretOf(written, key, source, env, problems) } : value;
}

function secretOf(
  written: string,
  { path, pattern, what, command, unknown }: SecretKey,
  source: Source,
  env: Environment,
  problems: ConfigProblem[],
): string {
  const refuse = (message: string, fix: string) => {
    problems.push(source.problem(path, message, fix));
    return unknown;
  };
  const name = VARIABLE.exec(written)?.[1];
  if (name === undefined) {
    if (!VARIABLE_IN_TEXT.test(written)) return written;
    const key = path.at(-1);
    return refuse('a variable has to be the whole value', `Write \`${key}: \${NAME}\` and nothing around it.`);
  }
  const secret = Object.hasOwn(env, name) ? env[name] : undefined;
  const fix = `Set it, for example ${name}=$(${command}).`;
  if (secret === undefined || secret === '') return refuse(`the environment variable ${name} is not set`, fix);
  return pattern.test(secret) ? secret : refuse(`the environment variable ${name} does not hold ${what}`, fix);
}

function withOverrides(value: unknown, servers: readonly { url: string }[] | undefined): unknown {
  if (!isMapping(value)) return value;
  const origin = isMapping(value['origin']) ? value['origin'] : {};
  return {
    name: 'site',
    hosts: ['*'],
    ...value,
    ...(servers && { origin: { ...origin, servers } }),
  };
}

function originServers(url: string, problems: ConfigProblem[]): readonly { url: string }[] {
  const servers = [{ url }];
  if (!originSchema.shape.servers.safeParse(servers).success) {
    problems.push(
      problemWithout(
        'command line',
        '--origin',
        `expected http://HOST[:PORT] or https://HOST[:PORT] without a path, found ${JSON.stringify(url)}`,
        'Write for example --origin http://127.0.0.1:3000.',
      ),
    );
    return [{ url: 'http://origin.invalid' }]; // So that the file can be checked all the same.
  }
  return servers;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listAt(value: unknown, key: string): readonly unknown[] {
  const list = isMapping(value) ? value[key] : undefined;
  return Array.isArray(list) ? list : [];
}
