/**
 * The region files of the demo network: copies of those in config/regions, whose nodes know each other by certificates
 * that are made here, with another origin or other ports where they are asked for.
 * @module
 */
import { createPublicKey } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { parse, stringify } from 'yaml';
import { checkRegions } from '../../config/check.ts';
import { problemWithout } from '../../config/document.ts';
import { ConfigError, quote } from '../../config/problem.ts';
import type { TierTlsConfig } from '../../config/schema/tier-tls.ts';
import { originSchema, type RegionConfig } from '../../config/schema.ts';
import { wallNow } from '../../lib/clock.ts';
import { createAuthority, daysMs, makeKey, privatePem } from '../../trust/authority/authority.ts';
import { createFile } from '../../trust/authority/files.ts';
import { plansOf } from '../nodes.ts';

export interface DemoNetwork {
  readonly regions: readonly RegionConfig[];
  /** URL of the demo origin, or of the user's own site. */
  readonly originUrl: string;
  /** Folder of the copies: below it `ca`, the authority, and `tls`, the files of all nodes. */
  readonly folder: string;
  /** Copies the files again, which may have changed. @throws {ConfigError} when they are not as they have to be. */
  refresh(): void;
  /** Deletes the copies. */
  dispose(): void;
}

export interface DemoNetworkOptions {
  /** URL of the user's own site. */
  readonly origin: string | undefined;
  /** Added to every port. */
  readonly portOffset: number;
  /** HOST:PORT of the members of etcd: each region has a control node then. Absent: one control node, with files. */
  readonly etcd?: readonly string[] | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Parts of a region file that the demo rewrites; the rest is copied. */
interface RegionFile {
  tier_tls?: TierTlsConfig;
  edges?: Addresses[];
  shields?: Addresses[];
  control?: Addresses & { name?: string; data?: string; journal?: { etcd: { endpoints: string[] } } };
  purges?: { journal?: string | string[] };
  sites: SiteEntry[];
}

type Addresses = Partial<Record<(typeof ADDRESS_KEYS)[number], string>>;

type SiteEntry = { include: string } | { origin: { servers: { url: string }[] } };

const ADDRESS_KEYS = ['listen', 'listen_tls', 'tier', 'control'] as const;

/** Addresses of the control nodes of a replicated network, one for each region file. */
const CONTROL_ADDRESSES = ['127.0.0.1:8900', '127.0.0.1:8901'];

const REGIONS = join(import.meta.dirname, '../../config/regions');
const FILES = ['eu.yaml', 'us.yaml'].map((name) => relative(process.cwd(), join(REGIONS, name)));

/** @throws {ConfigError} when the files, or the origin, are not as they have to be. */
export function prepareNetwork({ origin, portOffset, etcd, env }: DemoNetworkOptions): DemoNetwork {
  if (origin !== undefined) checkOrigin(origin);
  const folder = mkdtempSync(join(tmpdir(), 'seawall-demo-'));
  const dispose = () => rmSync(folder, { recursive: true, force: true });
  const copyAll = () => FILES.map((file, index) => copy(file, folder, { origin, portOffset, etcd }, index));
  try {
    const { regions, problems } = checkRegions(copyAll(), env);
    if (problems.length > 0) throw new ConfigError(problems);
    issueCertificates(regions, folder);
    const originUrl = regions[0]?.sites[0]?.origin.servers[0]?.url;
    if (originUrl === undefined) throw new Error('the demo network has no site');
    return { regions, originUrl, folder, refresh: () => void copyAll(), dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

function checkOrigin(url: string): void {
  if (originSchema.safeParse({ servers: [{ url }] }).success) return;
  const message = `expected http://HOST[:PORT] or https://HOST[:PORT], without a path, found ${quote(url)}`;
  const fix = 'Write for example --origin http://127.0.0.1:3000.';
  throw new ConfigError([problemWithout('command line', '--origin', message, fix)]);
}

/** Makes an authority, and certificates of all nodes. */
function issueCertificates(regions: readonly RegionConfig[], folder: string): void {
  const [main] = regions;
  if (main === undefined) return;
  const authority = createAuthority({
    folder: join(folder, 'ca'),
    network: main.network,
    lifetimeMs: daysMs(CERTIFICATE_DAYS),
    now: () => new Date(wallNow()),
  });
  const tls = join(folder, TLS_FOLDER);
  mkdirSync(tls);
  for (const name of ['ca.pem', 'revoked.pem']) copyFileSync(join(authority.folder, name), join(tls, name));
  for (const { name, role, region } of plansOf(regions)) {
    const key = makeKey();
    const holder = { role, name, region: region.region };
    const { certificate } = authority.issue(holder, createPublicKey(key), daysMs(CERTIFICATE_DAYS));
    createFile(join(tls, `${name}.key`), privatePem(key), { isPrivate: true });
    createFile(join(tls, `${name}.pem`), certificate.toString());
  }
}

const CERTIFICATE_DAYS = 365;
const TLS_FOLDER = 'tls';

const TIER_TLS: TierTlsConfig = {
  cert_file: `${TLS_FOLDER}/{node}.pem`,
  key_file: `${TLS_FOLDER}/{node}.key`,
  ca_file: `${TLS_FOLDER}/ca.pem`,
  crl_file: `${TLS_FOLDER}/revoked.pem`,
};

/** Difference between the ports of a control node for operators and for nodes. */
const CONTROL_TIER_OFFSET = 50;

/** Gives all nodes certificates, and the control node an address for nodes. */
function secure(region: RegionFile, file: string, isAsWritten: boolean): void {
  region.tier_tls = TIER_TLS;
  const { control } = region;
  if (control?.listen !== undefined) {
    control.tier = moved(control.listen, CONTROL_TIER_OFFSET);
    // Tokens that are made with the files of the repository are those of its control node.
    if (isAsWritten) control.data = resolve(dirname(file), control.data ?? 'seawall-data');
  }
  if (region.purges?.journal !== undefined) {
    const urls = [region.purges.journal].flat();
    region.purges.journal = urls.map((url) => moved(url, CONTROL_TIER_OFFSET).replace(/^http:/, 'https:'));
  }
}

/** Region files that refer to each other keep doing so: all copies are in one folder, under their own names. */
function copy(
  file: string,
  folder: string,
  { origin, portOffset, etcd }: Omit<DemoNetworkOptions, 'env'>,
  index: number,
): string {
  const region = parse(readFileSync(file, 'utf8')) as RegionFile;
  if (etcd !== undefined) replicate(region, index, etcd);
  secure(region, file, origin === undefined && portOffset === 0 && etcd === undefined);
  for (const node of [
    ...(region.edges ?? []),
    ...(region.shields ?? []),
    ...(region.control ? [region.control] : []),
  ]) {
    for (const key of ADDRESS_KEYS) {
      const address = node[key];
      if (address !== undefined) node[key] = moved(address, portOffset);
    }
  }
  if (region.purges?.journal !== undefined) {
    region.purges.journal = [region.purges.journal].flat().map((url) => moved(url, portOffset));
  }
  region.sites = region.sites.map((entry) => {
    // The demo site's rules are made for the demo site: other sites are cached by their own headers.
    if (origin !== undefined) return { name: 'site', hosts: ['*'], origin: { servers: [{ url: origin }] } };
    const site = 'include' in entry ? parse(readFileSync(join(dirname(file), entry.include), 'utf8')) : entry;
    const servers = site.origin.servers.map(({ url }: { url: string }) => ({ url: moved(url, portOffset) }));
    return { ...site, origin: { ...site.origin, servers } };
  });
  const target = join(folder, basename(file));
  writeFileSync(target, stringify(region));
  return target;
}

/** Gives the region a control node of its own, which its nodes ask first. */
function replicate(region: RegionFile, index: number, etcd: readonly string[]): void {
  const own = CONTROL_ADDRESSES[index] as string;
  const journal = { etcd: { endpoints: etcd.map((address) => `http://${address}`) } };
  region.control = { name: index === 0 ? 'control' : `control-${index + 1}`, listen: own, journal };
  const others = CONTROL_ADDRESSES.filter((address) => address !== own);
  region.purges = { ...region.purges, journal: [own, ...others].map((address) => `http://${address}`) };
}

/** @param address - Ends with a port. */
function moved(address: string, portOffset: number): string {
  const colon = address.lastIndexOf(':');
  return `${address.slice(0, colon)}:${Number(address.slice(colon + 1)) + portOffset}`;
}
