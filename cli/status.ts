/**
 * `seawall status`: the network at a glance, as a control node sees it.
 * @module
 */
import type { NodeEntry, RegionEntry } from '../control/node-list.ts';
import { defineCommand } from './command.ts';
import { controlUrl, DEFAULT_CONTROL } from './control-url.ts';
import { EXIT_FAILURE, Failure } from './failure.ts';
import { print } from './output.ts';

const TIMEOUT_MS = 10_000;

export const status = defineCommand({
  name: 'status',
  summary: 'Show which nodes are there, how far they are, and what they run.',
  about: `
Asks a control node; any of several knows the same. A node is well when it answers,
follows the journal, has applied every purge, and runs the config and the version of
the others. Exits with 1 when one is not.`,
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
    const { regions } = await read(url);
    const versions = new Set(regions.flatMap(({ nodes }) => nodes.flatMap(({ version }) => version ?? [])));
    const rows = regions.flatMap(({ region, nodes }) => nodes.map((node) => rowOf(region, node, versions.size > 1)));
    if (json) print(JSON.stringify({ regions }));
    else for (const line of table([HEAD, ...rows.map(({ cells }) => cells)])) print(line);
    return rows.every(({ isWell }) => isWell) ? 0 : EXIT_FAILURE;
  },
});

const HEAD = ['region', 'node', 'role', 'answers', 'follows', 'purges to apply', 'version', 'config', 'since'];

interface Row {
  readonly cells: readonly string[];
  readonly isWell: boolean;
}

function rowOf(region: string, node: NodeEntry, versionsDiffer: boolean): Row {
  const { name, role, state, connected, lag, version, config, since } = node;
  return {
    cells: [
      region,
      name,
      role,
      state === 'unknown' ? '?' : state === 'up' ? 'yes' : 'NO',
      connected ? 'yes' : 'NO',
      String(lag),
      version ?? '?',
      config === null ? '?' : config === 'same' ? 'same' : 'OTHER',
      since ?? '?',
    ],
    isWell: state !== 'down' && connected && lag === 0 && config !== 'other' && !versionsDiffer,
  };
}

/** @throws {Failure} when there is no control node, or it is something else that answers. */
async function read(url: URL): Promise<{ regions: readonly RegionEntry[] }> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    const body = (await response.json()) as { regions?: readonly RegionEntry[] };
    if (response.ok && body.regions !== undefined) return { regions: body.regions };
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
