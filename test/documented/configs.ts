/**
 * Every config that the documentation shows, and those that come with the
 * program, as whole files that can be loaded. A fragment is completed with the
 * least that a whole file needs.
 * @module
 */
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { parseDocument, stringify } from 'yaml';
import type { z } from 'zod';
import { loadRegion, loadSite } from '../../config/load.ts';
import { type RegionConfig, regionSchema, type SiteConfig, siteSchema } from '../../config/schema.ts';
import { makeCertificate } from '../support/certificate.ts';
import { type Block, documentedBlocks, ROOT } from './blocks.ts';

/** Kind of a YAML block. */
export type ConfigKind = 'region' | 'site' | 'part of a region' | 'part of a site';

export interface DocumentedConfig {
  /** `docs/config.md:22`. */
  readonly place: string;
  readonly kind: ConfigKind;
  /** A whole region or site, as plain values. */
  readonly value: Mapping;
  /** Set for a whole file, which is loaded as it is written. */
  readonly text: string | undefined;
}

export type Mapping = Readonly<Record<string, unknown>>;

/** `SEAWALL_TIER_SECRET` and the like, which the examples name. */
export const ENVIRONMENT: Readonly<Record<string, string>> = {
  SEAWALL_TIER_SECRET: 'documented-configs-know-this-secret',
  SEAWALL_DNS_COOKIE_SECRET: '0123456789abcdef0123456789abcdef',
};

/** Marks a block of YAML that is no config, in its info string: ```yaml title="not a config". */
const NOT_A_CONFIG = 'not a config';

/** @throws {Error} for a block that is neither a config nor marked as something else. */
export function documentedConfigs(): DocumentedConfig[] {
  const shown = documentedBlocks().flatMap((block) => configOf(block) ?? []);
  // What people are told to copy or to run.
  const files = globSync(['config/regions/*.yaml', 'config/sites/*.yaml', 'docs/**/*.{yaml,yml}'], {
    cwd: ROOT,
  }).sort();
  const shipped = files.map((file) => {
    const text = readFileSync(join(ROOT, file), 'utf8');
    return wholeOrPart({ file, line: 1, language: 'yaml', title: undefined, text });
  });
  return [...shown, ...shipped];
}

/** @returns undefined for a block that is no config. */
export function configOf(block: Block): DocumentedConfig | undefined {
  const isYaml = block.language === 'yaml' || block.language === 'yml';
  if (isYaml) return block.title === NOT_A_CONFIG ? undefined : wholeOrPart(block);
  if (['', 'text'].includes(block.language) && looksLikeConfig(block.text)) {
    throw new Error(`${placeOf(block)}: this looks like a config. Write it into a fence: \`\`\`yaml`);
  }
  return undefined;
}

function placeOf({ file, line }: Block): string {
  return `${file}:${line}`;
}

const REGION_KEYS = new Set(Object.keys(regionSchema.shape));
const SITE_KEYS = new Set(Object.keys(siteSchema.shape));

function looksLikeConfig(text: string): boolean {
  const document = parseDocument(text);
  if (document.errors.length > 0) return false;
  const value: unknown = document.toJS();
  return isMapping(value) && Object.keys(value).every((key) => REGION_KEYS.has(key) || SITE_KEYS.has(key));
}

function wholeOrPart(block: Block): DocumentedConfig {
  const place = placeOf(block);
  const document = parseDocument(block.text, { stringKeys: true });
  const [error] = [...document.errors, ...document.warnings];
  if (error !== undefined) throw new Error(`${place}: ${error.message}`);
  const value: unknown = document.toJS();
  if (isMapping(value) && Object.hasOwn(value, 'region')) return { place, kind: 'region', value, text: block.text };
  if (isMapping(value) && isWholeSite(value)) return { place, kind: 'site', value, text: block.text };

  const parts = PARTS.filter(({ shape, wrap }) => {
    const wrapped = wrap(value);
    return (
      isMapping(wrapped) && Object.keys(wrapped).every((key) => Object.hasOwn(shape, key)) && accepts(shape, wrapped)
    );
  });
  const [part] = parts;
  if (part === undefined) {
    throw new Error(
      `${place}: neither a region nor a site nor a part of one. Mend it, or mark it: \`\`\`yaml title="${NOT_A_CONFIG}"`,
    );
  }
  return { place, kind: part.kind, value: part.wrap(value) as Mapping, text: undefined };
}

function isWholeSite(value: Mapping): boolean {
  return Object.hasOwn(value, 'origin') && Object.keys(value).every((key) => SITE_KEYS.has(key));
}

/** A way to read a block that is not whole. */
interface Part {
  readonly kind: ConfigKind;
  readonly shape: Readonly<Record<string, z.ZodType>>;
  wrap(value: unknown): unknown;
}

const PARTS: readonly Part[] = [
  { kind: 'part of a site', shape: siteSchema.shape, wrap: (value) => value },
  { kind: 'part of a region', shape: regionSchema.shape, wrap: (value) => value },
  // What stands under one key, without it.
  ...Object.keys(siteSchema.shape).map(
    (key): Part => ({ kind: 'part of a site', shape: siteSchema.shape, wrap: (value) => ({ [key]: value }) }),
  ),
  { kind: 'part of a site', shape: siteSchema.shape, wrap: (value) => ({ rules: [value] }) },
  ...Object.keys(regionSchema.shape).map(
    (key): Part => ({ kind: 'part of a region', shape: regionSchema.shape, wrap: (value) => ({ [key]: value }) }),
  ),
];

function accepts(shape: Part['shape'], wrapped: Mapping): boolean {
  return Object.entries(wrapped).every(([key, value]) => {
    const completed = key === 'sites' ? withWholeSites(value) : value;
    // A word alone says nothing of the key that it stands for: names and files take nearly any.
    return typeof completed === 'object' && shape[key]?.safeParse(completed).success === true;
  });
}

const ORIGIN = { servers: [{ url: 'http://origin.example.net' }] };

function wholeSite(site: Mapping): Mapping {
  return { name: 'site', hosts: ['www.example.com'], origin: ORIGIN, ...site };
}

function withWholeSites(sites: unknown): unknown {
  if (!Array.isArray(sites)) return sites;
  return sites.map((site: unknown) => (isMapping(site) && !Object.hasOwn(site, 'include') ? wholeSite(site) : site));
}

function wholeRegion(region: Mapping): Mapping {
  const sites = Object.hasOwn(region, 'sites') ? withWholeSites(region['sites']) : [wholeSite({})];
  const edges = [{ name: 'edge-1', listen: '127.0.0.1:8080', tier: '127.0.0.1:8180' }];
  return { region: 'example', tier_secret: `\${SEAWALL_TIER_SECRET}`, edges, ...region, sites };
}

/** A documented config on the disk, loaded and checked. */
export interface LoadedConfig {
  readonly file: string;
  readonly region: RegionConfig;
}

/**
 * Writes the config into a folder, with the files that it names, and loads it.
 *
 * @throws {ConfigError} with what is wrong with the config.
 */
export function load(config: DocumentedConfig, folder: string): LoadedConfig {
  const isSite = config.kind === 'site' || config.kind === 'part of a site';
  const shipped = config.place.startsWith('config/');
  const below = shipped
    ? config.place.replace(/:\d+$/, '')
    : isSite
      ? 'config/sites/site.yaml'
      : 'config/regions/region.yaml';
  const file = join(folder, below);
  const text = config.text ?? stringify(isSite ? wholeSite(config.value) : wholeRegion(config.value));
  write(file, withOwnPaths(text, config.value, folder));
  makeNamedFiles(config.value, file, folder);
  if (!isSite) return { file, region: withTls(loadRegion(file, ENVIRONMENT), folder) };
  // As `serve --site FILE` does, which lets name, hosts and origin be missing.
  const site = loadSite(file, Object.hasOwn(config.value, 'origin') ? {} : { origin: 'http://origin.example.net' });
  return { file, region: withTls(regionAround(site, file), folder) };
}

/** Adds a TLS listener and a certificate where visitors are redirected to https and the config leaves both out. */
function withTls(region: RegionConfig, folder: string): RegionConfig {
  if (!region.sites.some(({ redirect }) => redirect.https)) return region;
  const cert_file = join(folder, 'tls/own.pem');
  const key_file = join(folder, 'tls/own.key');
  return {
    ...region,
    edges: region.edges.map((edge) => ({ ...edge, listen_tls: edge.listen_tls ?? '127.0.0.1:8443' })),
    sites: region.sites.map((site) => {
      if (site.tls !== undefined || !site.redirect.https) return site;
      makePair(cert_file, site.hosts, 'cert_file');
      makePair(key_file, site.hosts, 'key_file');
      return { ...site, tls: { cert_file, key_file } };
    }),
  };
}

function regionAround(site: SiteConfig, file: string): RegionConfig {
  const { sites: _, ...body } = regionSchema.parse({ ...wholeRegion({}), tier_secret: 'x'.repeat(16) });
  return { ...body, file, sites: [site], reachableShields: [] };
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** Keys that name files which have to be there. */
const FILE_KEYS = ['cert_file', 'key_file', 'ca_file', 'access_log', 'data', 'include', 'databases', 'shields_from'];

/** @returns The text with absolute paths moved into the folder, so that they can be made. */
function withOwnPaths(text: string, value: unknown, folder: string): string {
  return namedFiles(value)
    .filter(({ path }) => isAbsolute(path))
    .reduce((moved, { path }) => moved.replaceAll(path, join(folder, path)), text);
}

interface NamedFile {
  readonly key: string;
  readonly path: string;
  /** Hosts of the site that names it. */
  readonly hosts: readonly string[];
}

function namedFiles(value: unknown, hosts: readonly string[] = ['www.example.com']): NamedFile[] {
  if (Array.isArray(value)) return value.flatMap((item: unknown) => namedFiles(item, hosts));
  if (!isMapping(value)) return [];
  const own = Array.isArray(value['hosts']) ? (value['hosts'] as string[]) : hosts;
  return Object.entries(value).flatMap(([key, item]) =>
    FILE_KEYS.includes(key)
      ? [item].flat().flatMap((path) => (typeof path === 'string' ? [{ key, path, hosts: own }] : []))
      : namedFiles(item, own),
  );
}

function makeNamedFiles(value: unknown, file: string, folder: string): void {
  for (const { key, path, hosts } of namedFiles(value)) {
    const target = isAbsolute(path) ? join(folder, path) : join(dirname(file), path);
    if (key === 'cert_file' || key === 'key_file') makePair(target, hosts, key);
    else if (key === 'include')
      write(target, shippedText(target, folder) ?? stringify(wholeSite({ name: 'included' })));
    else if (key === 'shields_from') write(target, shippedText(target, folder) ?? stringify(otherRegion(value)));
  }
}

/** A file that comes with the program stands for itself. */
function shippedText(target: string, folder: string): string | undefined {
  const below = target.slice(folder.length + 1);
  return globSync(below, { cwd: ROOT }).length === 1 ? readFileSync(join(ROOT, below), 'utf8') : undefined;
}

function otherRegion(value: unknown): Mapping {
  const network = isMapping(value) ? value['network'] : undefined;
  return {
    ...wholeRegion({ region: 'other', edges: [] }),
    ...(network === undefined ? {} : { network }),
    shields: [{ name: 'other-shield', tier: '127.0.0.1:8191' }],
  };
}

const pairs = new Map<string, ReturnType<typeof makeCertificate>>();

function makePair(target: string, hosts: readonly string[], key: 'cert_file' | 'key_file'): void {
  const names = hosts.map((host) => (host === '*' ? 'any.test' : host));
  mkdirSync(dirname(target), { recursive: true });
  const known = pairs.get(names.join());
  const made = known ?? makeCertificate(dirname(target), 'pair', names);
  pairs.set(names.join(), made);
  write(target, key === 'cert_file' ? made.cert : made.key);
}

export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
