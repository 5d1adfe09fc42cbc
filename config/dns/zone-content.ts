/**
 * Content of a zone: every name with its records as configured, and the contradictions among them.
 * @module
 */

import { formatName, isWildcard, isWithin, type NameKey, parentOf, parseName } from '../../lib/dns/name.ts';
import { TYPE } from '../../lib/dns/numbers.ts';
import { nameOfType, type RecordData, recordType } from '../../lib/dns/record-data.ts';
import type { KeyPath } from '../problem.ts';
import type { ZoneConfig } from './schema.ts';

/** Records of one name and type (RFC 2181, section 5). */
export interface RecordSet {
  readonly type: number;
  readonly ttlSeconds: number;
  readonly data: RecordData[];
}

export interface NameContent {
  /** Its A and AAAA are the nearest region's. */
  isSteered: boolean;
  /** By type. */
  readonly sets: Map<number, RecordSet>;
}

export interface ZoneContent {
  readonly apex: NameKey;
  /** Without names that are there only because there is one below them. */
  readonly names: ReadonlyMap<NameKey, NameContent>;
  /** As arguments of `Source.problem`; within the zone's place. */
  readonly problems: readonly ZoneProblem[];
}

export type ZoneProblem = readonly [path: KeyPath, message: string, fix: string];

/** An answer with more could not be sent (a message over TCP has 64 KiB). */
const MAX_SET_BYTES = 16_384;

/** @param hosts - Of the sites of the region. */
export function zoneContent(zone: ZoneConfig, hosts: readonly string[]): ZoneContent {
  const apex = parseName(`${zone.name}.`);
  if (apex === undefined) {
    return { apex: '\0', names: new Map(), problems: [[['name'], `${zone.name} is not a domain name`, 'Correct it.']] };
  }
  const names = new Map<NameKey, NameContent>();
  const problems: ZoneProblem[] = [];
  const nameAt = (text: string, path: KeyPath): NameKey | undefined => {
    const name = parseName(text, apex);
    if (name !== undefined && isWithin(name, apex)) return name;
    const message = name === undefined ? 'is not a name' : `is not in the zone ${zone.name}`;
    problems.push([
      path,
      `${text} ${message}`,
      'Write it relative to the zone, such as `www`, or with a dot at the end.',
    ]);
    return undefined;
  };
  const contentOf = (name: NameKey): NameContent => {
    const content = names.get(name) ?? { isSteered: false, sets: new Map() };
    names.set(name, content);
    return content;
  };
  const add = (name: NameKey, type: number, ttl: number, data: readonly RecordData[], path: KeyPath): void => {
    const ttlSeconds = Math.floor(ttl / 1_000);
    const { sets } = contentOf(name);
    const set = sets.get(type) ?? { type, ttlSeconds, data: [] };
    // RFC 2181, section 5.2: "TTLs of all RRs in an RRSet must be the same".
    if (set.ttlSeconds !== ttlSeconds) {
      problems.push([
        path,
        `other records of ${formatName(name)} and this type have another ttl`,
        'Write the same ttl for all of them.',
      ]);
    }
    set.data.push(...data);
    sets.set(type, set);
    if (bytesOf(set) > MAX_SET_BYTES) {
      problems.push([
        path,
        `${formatName(name)} has more than ${MAX_SET_BYTES} bytes of this type`,
        'Remove some of the values.',
      ]);
    }
  };

  contentOf(apex);
  for (const [index, record] of zone.records.entries()) {
    const name = nameAt(record.name, ['records', index, 'name']);
    const known = recordType(record.type);
    if (known === undefined) {
      problems.push([['records', index, 'type'], `a zone cannot hold the type ${record.type}`, typeFix(record.type)]);
      continue;
    }
    const data = record.values.flatMap((value, at): RecordData[] => {
      const parsed = known.parse(value, apex);
      if (parsed !== undefined) return [parsed];
      problems.push([
        ['records', index, 'values', at],
        `this is no value of the type ${record.type}`,
        `Write it as ${known.form}.`,
      ]);
      return [];
    });
    if (name !== undefined && data.length > 0) add(name, known.type, record.ttl ?? zone.ttl, data, ['records', index]);
  }

  steer(zone, hosts, nameAt, contentOf);
  for (const [index, { name: text, addresses }] of zone.nameservers.entries()) {
    const path = ['nameservers', index];
    const name = parseName(`${text}.`);
    if (name === undefined) {
      problems.push([[...path, 'name'], `${text} is not a name`, 'Correct it.']);
      continue;
    }
    add(apex, TYPE.NS, zone.ttl, [[{ name }]], path);
    if (!isWithin(name, apex)) {
      if (addresses.length === 0) continue;
      problems.push([
        [...path, 'addresses'],
        `${text} is in another zone, which has its addresses`,
        'Remove them here.',
      ]);
      continue;
    }
    for (const [at, address] of addresses.entries()) {
      const type = address.includes(':') ? 'AAAA' : 'A';
      const data = recordType(type)?.parse(address, apex);
      if (data === undefined)
        problems.push([[...path, 'addresses', at], `${address} is not an IP address`, 'Correct it.']);
      else add(name, TYPE[type], zone.ttl, [data], path);
    }
    const content = names.get(name);
    if (content?.isSteered) {
      problems.push([
        [...path, 'name'],
        `${text} is steered, and a name server has to be where it is`,
        'Give it a name of its own.',
      ]);
    } else if (!content?.sets.has(TYPE.A) && !content?.sets.has(TYPE.AAAA)) {
      problems.push([path, `nothing says where ${text} is`, 'Write its `addresses`.']);
    }
  }
  problems.push(...contradictions(zone, apex, names));
  return { apex, names, problems };
}

const TYPE_FIXES: Readonly<Record<string, string>> = {
  SOA: 'Write `hostmaster`, `serial` and the others of the zone; the SOA is made of them.',
  DNAME: 'Write a wildcard CNAME instead.',
};

function typeFix(written: string): string {
  const name = nameOfType(written);
  if (name !== undefined) return `Write \`${name}\`.`;
  return TYPE_FIXES[written] ?? 'Write another type, or TYPE and its number.';
}

function steer(
  zone: ZoneConfig,
  hosts: readonly string[],
  nameAt: (text: string, path: KeyPath) => NameKey | undefined,
  contentOf: (name: NameKey) => NameContent,
): void {
  for (const [index, text] of zone.steer.entries()) {
    const name = nameAt(text, ['steer', index]);
    if (name !== undefined) contentOf(name).isSteered = true;
  }
  if (!zone.steer_sites) return;
  for (const host of hosts) {
    if (host !== zone.name && !host.endsWith(`.${zone.name}`)) continue;
    const name = parseName(`${host}.`);
    if (name !== undefined) contentOf(name).isSteered = true;
  }
}

/** Records that may not exist beside each other. */
function contradictions(zone: ZoneConfig, apex: NameKey, names: ReadonlyMap<NameKey, NameContent>): ZoneProblem[] {
  const problems: ZoneProblem[] = [];
  const refuse = (name: NameKey, type: number, message: string, fix: string): void => {
    const index = zone.records.findIndex(
      (record) => parseName(record.name, apex) === name && recordType(record.type)?.type === type,
    );
    problems.push([index < 0 ? [] : ['records', index], `${formatName(name)} ${message}`, fix]);
  };
  const cuts = [...names].filter(([name, { sets }]) => name !== apex && sets.has(TYPE.NS)).map(([name]) => name);
  for (const [name, { isSteered, sets }] of names) {
    const cname = sets.get(TYPE.CNAME);
    // RFC 1034, section 3.6.2.
    if (cname !== undefined && (sets.size > 1 || isSteered || cname.data.length > 1 || name === apex)) {
      const other = name === apex ? 'is the zone itself' : isSteered ? 'is steered' : 'has other records';
      refuse(
        name,
        TYPE.CNAME,
        `${other}, so it cannot be an alias`,
        'Remove one of the two; `steer` has the effect at the zone itself.',
      );
    }
    if (isSteered && (sets.has(TYPE.A) || sets.has(TYPE.AAAA))) {
      refuse(
        name,
        sets.has(TYPE.A) ? TYPE.A : TYPE.AAAA,
        'is steered, so its addresses are those of edges',
        'Remove one of the two.',
      );
    }
    const isCut = cuts.includes(name);
    if (name === apex && zone.records.some((record) => record.type === 'NS' && parseName(record.name, apex) === apex)) {
      refuse(name, TYPE.NS, 'is the zone itself, and its name servers are under `nameservers`', 'Write it there.');
    }
    if (isCut && (isSteered || isWildcard(name) || [...sets.keys()].some((type) => !AT_CUT.includes(type)))) {
      refuse(
        name,
        TYPE.NS,
        'is handed to other name servers, so what else is said of it does not count',
        'Keep NS and DS only.',
      );
    }
    const cutAbove = isCut ? undefined : cuts.find((cut) => isWithin(name, cut));
    if (
      cutAbove !== undefined &&
      (isSteered || [...sets.keys()].some((type) => type !== TYPE.A && type !== TYPE.AAAA))
    ) {
      const [type = 0] = sets.keys();
      refuse(name, type, `is below ${formatName(cutAbove)}, which is handed to other name servers`, 'Remove it here.');
    }
    if (sets.has(DS) && !isCut) refuse(name, DS, 'is not handed to other name servers, so it has no DS', 'Remove it.');
  }
  return problems;
}

const DS = 43;
/** Types that the parent side of a zone cut holds. */
const AT_CUT: readonly number[] = [TYPE.NS, DS, TYPE.A, TYPE.AAAA];

function bytesOf({ data }: RecordSet): number {
  return data.reduce(
    (sum, pieces) => sum + pieces.reduce((of, piece) => of + ('name' in piece ? piece.name.length : piece.length), 12),
    0,
  );
}

/** @returns Every name above `name` up to the apex, nearest first. */
export function namesAbove(name: NameKey, apex: NameKey): NameKey[] {
  const above: NameKey[] = [];
  for (let at = name; at !== apex; ) {
    at = parentOf(at);
    above.push(at);
  }
  return above;
}
