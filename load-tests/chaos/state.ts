/**
 * State of the nodes, as their metrics and their health tell it.
 * @module
 */
import { type Sample, samplesOf } from '../../test/support/network.ts';
import type { Member } from './network.ts';

const TIME_LIMIT_MS = 1_000;

/** Requests that a node has made by itself, and those to other nodes and to the origin on behalf of visitors. */
export interface Additional {
  readonly hedges: number;
  readonly retries: number;
  readonly upstream: number;
}

/** Returns the samples of all nodes that answer, by their names. */
async function samples(members: readonly Member[]): Promise<ReadonlyMap<string, readonly Sample[]>> {
  const found = await Promise.all(
    members.flatMap(({ name, control }) =>
      control === undefined
        ? []
        : [
            textOf(`${control}/metrics`).then(
              (text): [string, Sample[]][] => [[name, samplesOf(text)]],
              () => [],
            ),
          ],
    ),
  );
  return new Map(found.flat());
}

async function textOf(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(TIME_LIMIT_MS) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return text;
}

/** @returns What is not as it should be; empty if everything is. */
export async function complaints(members: readonly Member[]): Promise<string[]> {
  const nodes = members.flatMap(({ name, control }) => (control === undefined ? [] : [{ name, control }]));
  const sampled = await samples(members);
  const down = [...sampled].flatMap(([node, list]) =>
    list
      .filter(({ name, value }) => value === 0 && (name === 'seawall_target_up' || name === 'seawall_disk_up'))
      .map(({ name, labels }) => `${node}: ${name} ${labels['target'] ?? ''}`),
  );
  const sick = await Promise.all(
    nodes.map(({ name, control }) =>
      textOf(`${control}/healthz`).then(
        () => [],
        () => [`${name} is not healthy`],
      ),
    ),
  );
  const silent = nodes.filter(({ name }) => !sampled.has(name)).map(({ name }) => `${name} does not answer`);
  return [...silent, ...down, ...sick.flat()];
}

/** Returns the counts of each node. */
export async function additional(members: readonly Member[]): Promise<ReadonlyMap<string, Additional>> {
  const counts = new Map<string, Additional>();
  for (const [node, list] of await samples(members)) {
    const sum = (wanted: string, isCounted: (sample: Sample) => boolean = () => true): number =>
      list.filter((one) => one.name === wanted && isCounted(one)).reduce((total, { value }) => total + value, 0);
    counts.set(node, {
      hedges: sum('seawall_hedges_total', ({ labels }) => labels['result'] !== 'refused'),
      retries: sum('seawall_retries_total'),
      upstream: sum('seawall_fills_total'),
    });
  }
  return counts;
}

/** Returns what was added since then. A node that was started again meanwhile counts from zero. */
export function since(before: ReadonlyMap<string, Additional>, after: ReadonlyMap<string, Additional>): Additional {
  const total = { hedges: 0, retries: 0, upstream: 0 };
  for (const [node, now] of after) {
    const then = before.get(node);
    const isSame = then !== undefined && then.upstream <= now.upstream;
    for (const count of ['hedges', 'retries', 'upstream'] as const) {
      total[count] += now[count] - (isSame ? then[count] : 0);
    }
  }
  return total;
}
