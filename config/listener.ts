/**
 * Addresses that nodes listen on, and conflicts among them.
 *
 * A region file does not say which nodes share a machine, so it is read from
 * their `tier` addresses: nodes that the others reach at the same host are on
 * the same machine. `listen: 0.0.0.0:443` on ten machines is no clash, and
 * neither is an anycast address.
 * @module
 */
import ipaddr from 'ipaddr.js';
import type { Source } from './document.ts';
import type { KeyPath } from './problem.ts';
import type { DnsConfig, EdgeConfig, RegionConfig, ShieldConfig } from './schema.ts';

/** A socket that a node opens. */
export interface Listener {
  readonly node: string;
  /** For visitors, for other nodes, or for operators. */
  readonly role: 'listen' | 'listen_tls' | 'tier' | 'control';
  /** As written. */
  readonly address: string;
  readonly host: string;
  readonly port: number;
  /** Names the machine; `undefined` when it could be any. */
  readonly machine: string | undefined;
  readonly source: Source;
  readonly path: KeyPath;
}

/** A host that means every address of a machine: all of IPv4, or (dual stack) all there is. */
const ANY_HOSTS: readonly string[] = ['0.0.0.0', '::'];
const LOOPBACK = 'loopback';

/** @returns Every listener of a region, in the order of the file. */
export function listenersOf(
  region: Pick<RegionConfig, 'edges' | 'shields' | 'control' | 'dns'>,
  source: Source,
): Listener[] {
  return [
    ...region.edges.flatMap((edge, index) => nodeListeners(edge, source, ['edges', index])),
    ...region.shields.flatMap((shield, index) => nodeListeners(shield, source, ['shields', index])),
    ...(region.control ? controlListeners(region.control, source) : []),
    ...(region.dns ? dnsListeners(region.dns, source) : []),
  ];
}

/** @returns The listeners of one edge or shield, whose place is `path`. */
export function nodeListeners(node: EdgeConfig | ShieldConfig, source: Source, path: KeyPath): Listener[] {
  const { host } = splitAddress(node.tier);
  const machine = isAnyHost(host) ? undefined : machineOf(host);
  const listener = (role: Listener['role'], address: string | undefined): Listener[] =>
    address === undefined
      ? []
      : [{ node: node.name, role, address, ...splitAddress(address), machine, source, path: [...path, role] }];
  return [
    ...listener('listen', 'listen' in node ? node.listen : undefined),
    ...listener('listen_tls', 'listen_tls' in node ? node.listen_tls : undefined),
    ...listener('tier', node.tier),
    ...listener('control', node.control),
  ];
}

function controlListeners({ name, listen, tier }: ControlAddresses, source: Source): Listener[] {
  const listener = (role: Listener['role'], address: string, key: string): Listener => {
    const { host, port } = splitAddress(address);
    const machine = isAnyHost(host) ? undefined : machineOf(host);
    return { node: name, role, address, host, port, machine, source, path: ['control', key] };
  };
  return [listener('control', listen, 'listen'), ...(tier === undefined ? [] : [listener('tier', tier, 'tier')])];
}

type ControlAddresses = Pick<NonNullable<RegionConfig['control']>, 'name' | 'listen' | 'tier'>;

/** A DNS server is on the machine of the first of its addresses that names one. */
function dnsListeners({ name, listen, control }: DnsConfig, source: Source): Listener[] {
  const machine = listen.map((address) => splitAddress(address).host).find((host) => !isAnyHost(host));
  const listener = (address: string, role: Listener['role'], path: KeyPath): Listener => {
    return {
      node: name,
      role,
      address,
      ...splitAddress(address),
      machine: machine && machineOf(machine),
      source,
      path,
    };
  };
  return [
    ...listen.map((address, index) => listener(address, 'listen', ['dns', 'listen', index])),
    ...(control === undefined ? [] : [listener(control, 'control', ['dns', 'control'])]),
  ];
}

/** @returns Whether the second of the two could not be opened. */
export function clash(a: Listener, b: Listener): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const shareMachine = a.machine === b.machine || a.machine === undefined || b.machine === undefined;
  return shareMachine && hostsOverlap(a.host, b.host);
}

/**
 * @param host - Canonical, of an origin.
 * @param askers - The machines that a request to `host` is sent from.
 * @returns Whether a connection to `host` and `port` ends at this listener.
 */
export function answersAt(listener: Listener, host: string, port: number, askers: ReadonlySet<string>): boolean {
  if (listener.port !== port || port === 0) return false;
  const machine = machineOf(host);
  const isReached = machine === LOOPBACK ? askers.has(listener.machine ?? LOOPBACK) : listener.machine === machine;
  return isAnyHost(listener.host) || machine === LOOPBACK
    ? isReached && hostsOverlap(listener.host, host)
    : listener.host === host;
}

/** @returns A host in one spelling: IPv6 without brackets, `localhost` as an address, names in lower case. */
export function canonicalHost(host: string): string {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (bare === 'localhost') return '127.0.0.1';
  return ipaddr.isValid(bare) ? ipaddr.process(bare).toString() : bare;
}

/** @returns Whether `host` looks like an address and is none: `999.0.0.1`, `[::x]`. */
export function isBrokenAddress(host: string): boolean {
  if (host.startsWith('[')) return !ipaddr.IPv6.isValid(host.slice(1, -1));
  return /^[\d.]+$/.test(host) && !ipaddr.IPv4.isValidFourPartDecimal(host);
}

/** @returns Whether `host` stands for every address of a machine. */
export function isAnyHost(host: string): boolean {
  return ANY_HOSTS.includes(host);
}

/** @returns The name by which machines are told apart. */
export function machineOf(host: string): string {
  return ipaddr.isValid(host) && ipaddr.parse(host).range() === 'loopback' ? LOOPBACK : host;
}

/** Returns HOST:PORT, with an IPv6 address in brackets. */
export function joinAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** @returns The two parts of HOST:PORT, the host canonical. */
export function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: canonicalHost(address.slice(0, colon)), port: Number(address.slice(colon + 1)) };
}

function hostsOverlap(a: string, b: string): boolean {
  if (a === b || a === '::' || b === '::') return true;
  if (a === '0.0.0.0') return !ipaddr.IPv6.isValid(b);
  return b === '0.0.0.0' && !ipaddr.IPv6.isValid(a);
}
