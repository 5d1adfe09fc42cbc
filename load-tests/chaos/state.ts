/**
 * State of the nodes, as their metrics and their health tell it.
 * @module
 */
import { type Sample, samplesOf } from '../../test/support/network.ts';
import type { Member } from './network.ts';

const TIME_LIMIT_MS = 1_000;

/** Additional requests that the nodes have made. */
export interface Additional {
  readonly hedges: number;
  readonly retries: number;
  /** Requests to other nodes and to the origin, these included. */
  readonly upstream: number;
}

/** Returns the samples of all nodes that answer, and those that do not. */
async function samples(members: readonly Member[]): Promise<{ readonly all: Sample[]; readonly silent: string[] }> {
  const silent: string[] = [];
  const all = await Promise.all(
    members.flatMap(({ name, control }) =>
      control === undefined
        ? []
        : [
            textOf(`${control}/metrics`).then(
              (text) => samplesOf(text),
              () => {
                silent.push(name);
                return [];
              },
            ),
          ],
    ),
  );
  return { all: all.flat(), silent };
}

async function textOf(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(TIME_LIMIT_MS) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return text;
}

/** @returns What is not as it should be; empty if everything is. */
export async function complaints(members: readonly Member[]): Promise<string[]> {
  const { all, silent } = await samples(members);
  const down = all.filter(
    ({ name, value }) => value === 0 && (name === 'seawall_target_up' || name === 'seawall_disk_up'),
  );
  const nodes = members.flatMap(({ name, control }) => (control === undefined ? [] : [{ name, control }]));
  const sick = await Promise.all(
    nodes.map(({ name, control }) =>
      textOf(`${control}/healthz`).then(
        () => [],
        () => [`${name} is not healthy`],
      ),
    ),
  );
  return [
    ...silent.map((name) => `${name} does not answer`),
    ...down.map(({ name, labels }) => `${name} ${labels['target'] ?? ''}`),
    ...sick.flat(),
  ];
}

export async function additional(members: readonly Member[]): Promise<Additional> {
  const { all } = await samples(members);
  const sum = (wanted: string, isCounted: (sample: Sample) => boolean = () => true): number =>
    all.filter((sample) => sample.name === wanted && isCounted(sample)).reduce((total, { value }) => total + value, 0);
  return {
    hedges: sum('seawall_hedges_total', ({ labels }) => labels['result'] !== 'refused'),
    retries: sum('seawall_retries_total'),
    upstream: sum('seawall_upstream_requests_total'),
  };
}
