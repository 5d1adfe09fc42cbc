/**
 * `seawall status`: the network at a glance, as a control node sees it.
 * @module
 */
import type { Presence } from '../control/members.ts';
import type { AboutEntry, ControlEntry, NetworkEntry, NodeEntry } from '../control/node-list.ts';
import type { RefusedNode } from '../control/node-refusals.ts';
import { type EpochMs, wallNow } from '../lib/clock.ts';
import { defineCommand } from './command.ts';
import { controlUrl, DEFAULT_CONTROL } from './control-url.ts';
import { EXIT_FAILURE, Failure } from './failure.ts';
import { print } from './output.ts';

const TIMEOUT_MS = 10_000;

export const status = defineCommand({
  name: 'status',
  summary: 'Show which nodes are there, how far they are, and what they run.',
  about: `
Asks a control node; any of several knows the same. A node is well when it is there,
answers, follows the journal, has applied every purge, and runs the config and the
version of the others. What is not so is named below the table, as are nodes that
were refused in the last ten minutes; the command exits with 1 then.`,
  options: {
    control: {
      type: 'text',
      value: 'URL',
      help: `The control node. By default $SEAWALL_CONTROL, else ${DEFAULT_CONTROL}.`,
    },
    json: { type: 'flag', help: 'Print the JSON response.' },
  },
  examples: ['--control http://10.0.0.3:8900', '--json'],

  async run({ control, json }) {
    const url = controlUrl(control, '/v1/nodes');
    const network = await read(url);
    const { regions, control: controls, refused } = network;
    const present = [...regions.flatMap(({ nodes }) => nodes), ...controls].filter(
      ({ presence }) => presence === 'present',
    );
    const versions = new Set(present.flatMap(({ version }) => version ?? []));
    const comparison = { versionsDiffer: versions.size > 1, now: wallNow() };
    const rows = [
      ...regions.flatMap(({ region, nodes }) => nodes.map((node) => rowOf(region, node, comparison))),
      ...controls.map((one) => controlRowOf(one, comparison)),
    ];
    const faults = [...rows, ...refused.map(refusedRowOf)].flatMap((row) => row.faults);
    if (json) print(JSON.stringify(network));
    else for (const line of [...table([HEAD, ...rows.map(({ cells }) => cells)]), ...faults]) print(line);
    return faults.length === 0 ? 0 : EXIT_FAILURE;
  },
});

const HEAD = [
  'region',
  'node',
  'role',
  'there',
  'answers',
  'follows',
  'purges to apply',
  'version',
  'config',
  'memory',
  'disk',
  'certificate',
  'since',
];

/** A certificate with less time left is to be renewed by now. */
const CERTIFICATE_WARNING_MS = 14 * 86_400_000;

interface Row {
  readonly cells: readonly string[];
  /** Faults, in words. */
  readonly faults: readonly string[];
}

const THERE: Readonly<Record<Presence, string>> = {
  present: 'yes',
  missing: 'NO',
  unknown: '?',
  never_seen: 'NEVER',
  forgotten: 'forgotten',
};

interface Comparison {
  readonly versionsDiffer: boolean;
  readonly now: EpochMs;
}

function rowOf(region: string, node: NodeEntry, { versionsDiffer, now }: Comparison): Row {
  const { name, role, state, presence, named, doubled, connected, lag, version, config, seen } = node;
  const cells = [
    region,
    name,
    role,
    THERE[presence],
    state === 'unknown' ? '?' : state === 'up' ? 'yes' : 'NO',
    connected ? 'yes' : 'NO',
    String(lag),
    ...aboutCells(node, now),
  ];
  if (presence === 'forgotten') return { cells, faults: [] };
  const faults = [
    ...(presence === 'missing' ? [`it was seen last at ${seen}; if it is gone: seawall node forget ${name}`] : []),
    ...(presence === 'never_seen' ? ['a region file names it, and it has never registered'] : []),
    ...(state === 'down' ? ['its control listener does not answer'] : []),
    ...(presence !== 'missing' && presence !== 'never_seen' && !connected
      ? ['it does not follow the journal here']
      : []),
    ...(lag > 0 ? [`it has ${lag} purges to apply`] : []),
    ...(config === 'other' ? ['it runs another config than the region files of this control node'] : []),
    ...(versionsDiffer && version !== null ? [`it runs version ${version}, and others do not`] : []),
    ...(named ? [] : ['no region file of this control node names it']),
    ...(doubled ? ['two processes follow the journal under its name'] : []),
    ...conditionFaults(node, now),
  ];
  return { cells, faults: faults.map((fault) => `${name}: ${fault}`) };
}

function controlRowOf(node: ControlEntry, { versionsDiffer, now }: Comparison): Row {
  const { name, region, presence, config, version, seen } = node;
  const faults = [
    ...(presence === 'missing' ? [`it was seen last at ${seen}; if it is gone: seawall node forget ${name}`] : []),
    ...(presence === 'missing' || config !== 'other' ? [] : ['it was started with other region files than this one']),
    ...(presence !== 'missing' && versionsDiffer && version !== null
      ? [`it runs version ${version}, and others do not`]
      : []),
    ...conditionFaults(node, now),
  ];
  return {
    cells: [region, name, 'control', THERE[presence], '', '', '', ...aboutCells(node, now)],
    faults: faults.map((fault) => `${name}: ${fault}`),
  };
}

function refusedRowOf({ name, role, address, reason, detail, count, last }: RefusedNode): Row {
  const who = [role, name].filter(Boolean).join(' ') || address;
  const fault = `refused: ${who} (${address}), ${reason}${detail === null ? '' : `, ${detail}`}; ${count} times, last at ${last}`;
  return { cells: [], faults: [fault] };
}

function aboutCells({ version, since, config, memory, disk, certificate_expires: expires }: About, now: EpochMs) {
  const days = expires === null ? undefined : Math.floor((Date.parse(expires) - now) / 86_400_000);
  return [
    version ?? '?',
    config === null ? '?' : config === 'same' ? 'same' : 'OTHER',
    memory === null ? '' : `${mib(memory.used)} of ${mib(memory.size)} MiB`,
    disk === null ? '' : disk.ok ? `${disk.objects} in ${mib(disk.size)} MiB` : 'FAILED',
    days === undefined ? '' : `${days} days`,
    since ?? '?',
  ];
}

function mib(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}

type About = AboutEntry & { readonly config: 'same' | 'other' | null };

function conditionFaults({ disk, certificate_expires: expires }: AboutEntry, now: EpochMs): string[] {
  const isShort = expires !== null && Date.parse(expires) - now < CERTIFICATE_WARNING_MS;
  return [
    ...(disk !== null && !disk.ok ? ['its disk has failed, and is left out'] : []),
    ...(isShort ? [`its certificate ends at ${expires}: seawall ca renew`] : []),
  ];
}

/** @throws {Failure} when there is no control node, or it is something else that answers. */
async function read(url: URL): Promise<NetworkEntry> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    const body = (await response.json()) as Partial<NetworkEntry>;
    const { regions, control = [], refused = [] } = body;
    if (response.ok && regions !== undefined) return { regions, control, refused };
    throw new Failure(`${url.origin} is no control node: it answered ${response.status}`);
  } catch (error) {
    if (error instanceof Failure) throw error;
    const { cause, message } = error as Error;
    throw new Failure(`${url.origin} does not answer: ${(cause as Error | undefined)?.message ?? message}`);
  }
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
