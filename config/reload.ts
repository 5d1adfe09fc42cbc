/**
 * Reads the files of running regions again. What they hold now is either good
 * and different, or refused as a whole while the running config stays.
 *
 * Everything applies to running nodes except what needs another socket or
 * folder: a running node keeps its name, its addresses and its data. Nodes may come and go; a node
 * that is new in the file has to be started, one that is gone to be stopped.
 * @module
 */
import { isDeepStrictEqual } from 'node:util';
import { readingProblems } from './check.ts';
import type { Source } from './document.ts';
import { ConfigError, type ConfigProblem, inOrder, type KeyPath, keyOf } from './problem.ts';
import { assembleRegion, type Environment, type RegionReading, readRegion } from './read.ts';
import type { DnsConfig, EdgeConfig, RegionConfig, ShieldConfig } from './schema.ts';
import { asYaml } from './words.ts';

/** Outcome of a reload. */
export interface Reload {
  readonly config: RegionConfig;
  /**
   * Keys that changed, such as `sites[0].rules[1].ttl`; for a list of another length, the key of the list. Empty if
   * nothing changed.
   */
  readonly changes: string[];
}

const ADDRESS_KEYS = ['listen', 'listen_tls', 'tier', 'control'] as const;

/**
 * Loads the file of each region again.
 *
 * @param current - All that run: some mistakes show only side by side.
 * @param env - Where `${NAME}` in `tier_secret` is looked up.
 * @throws {ConfigError} `config_refused` when the files have problems, or ask running nodes for other sockets.
 */
export function reloadRegions(current: readonly RegionConfig[], env: Environment = process.env): Reload[] {
  const readings = current.map(({ file }) => readRegion(file, env));
  const problems = readingProblems(readings);
  if (problems.length > 0) throw new ConfigError(problems);

  const pairs = current.map((before, index) => ({ before, reading: readings[index] as RegionReading }));
  const reloads = pairs.map(({ before, reading }) => {
    const config = assembleRegion(reading);
    return { config, changes: changesBetween(before, config) };
  });
  const moves = pairs.flatMap(({ before, reading: { body } }, index) =>
    body ? socketProblems(before, (reloads[index] as Reload).config, body.source) : [],
  );
  if (moves.length > 0) throw new ConfigError(inOrder(moves));
  return reloads;
}

function socketProblems(before: RegionConfig, after: RegionConfig, source: Source): ConfigProblem[] {
  const [control, newControl] = [before.control, after.control];
  return [
    ...trustProblems(before, after, source),
    ...after.edges.flatMap((node, index) =>
      nodeProblems(node, before.edges, after.edges, source.within(['edges', index])),
    ),
    ...after.shields.flatMap((node, index) =>
      nodeProblems(node, before.shields, after.shields, source.within(['shields', index])),
    ),
    ...(control && newControl ? controlProblems(control, newControl, source.within(['control'])) : []),
    ...(before.dns && after.dns ? dnsProblems(before.dns, after.dns, source.within(['dns'])) : []),
  ];
}

/** Listeners speak TLS, or do not, from their start on. */
function trustProblems(before: RegionConfig, after: RegionConfig, source: Source): ConfigProblem[] {
  if ((before.tier_tls === undefined) === (after.tier_tls === undefined)) return [];
  const [state, fix] =
    before.tier_tls === undefined
      ? ['without `tier_tls`', 'Restart the nodes to add it.']
      : ['with `tier_tls`', 'Write it again, or restart the nodes to take it away.'];
  const message = `the nodes are running ${state}, and running nodes keep their sockets`;
  return [source.problem(after.tier_tls === undefined ? [] : ['tier_tls'], message, fix)];
}

function nodeProblems<Node extends EdgeConfig | ShieldConfig>(
  node: Node,
  before: readonly Node[],
  after: readonly Node[],
  source: Source,
): ConfigProblem[] {
  const same = before.find(({ name }) => name === node.name);
  if (same) {
    return ADDRESS_KEYS.flatMap((key) => {
      const [old, now] = [addressOf(same, key), addressOf(node, key)];
      return old === now ? [] : [moved(source, node.name, key, old, now)];
    });
  }
  // Another name at the address of a node that is gone: it was given a new name.
  const renamed = before.find(({ name, tier }) => tier === node.tier && !after.some((other) => other.name === name));
  return renamed ? [renamedProblem(source, renamed.name, node.name)] : [];
}

function controlProblems(
  before: NonNullable<RegionConfig['control']>,
  after: NonNullable<RegionConfig['control']>,
  source: Source,
): ConfigProblem[] {
  return [
    ...(before.name === after.name ? [] : [renamedProblem(source, before.name, after.name)]),
    ...(before.listen === after.listen ? [] : [moved(source, after.name, 'listen', before.listen, after.listen)]),
    ...(before.tier === after.tier ? [] : [moved(source, after.name, 'tier', before.tier, after.tier)]),
    ...(before.data === after.data ? [] : [otherFolder(source, after.name, before.data)]),
  ];
}

function otherFolder(source: Source, name: string, before: string): ConfigProblem {
  const message = `${name} is running with ${before}, and a running control node keeps its folder`;
  return source.problem(['data'], message, `Write \`data: ${before}\`, or restart ${name}.`);
}

function dnsProblems(before: DnsConfig, after: DnsConfig, source: Source): ConfigProblem[] {
  const [listenBefore, listen] = [asYaml(before.listen), asYaml(after.listen)];
  return [
    ...(before.name === after.name ? [] : [renamedProblem(source, before.name, after.name)]),
    ...(listenBefore === listen ? [] : [moved(source, after.name, 'listen', listenBefore, listen)]),
    ...(before.control === after.control ? [] : [moved(source, after.name, 'control', before.control, after.control)]),
  ];
}

function moved(
  source: Source,
  name: string,
  key: string,
  before: string | undefined,
  after: string | undefined,
): ConfigProblem {
  const message = `${name} is running ${before === undefined ? `without \`${key}\`` : `with ${before}`}, and a running node keeps its sockets`;
  const keep =
    before === undefined ? `Remove \`${key}\`` : `${after === undefined ? 'Add' : 'Write'} \`${key}: ${before}\``;
  return source.problem([key], message, `${keep}; to move, add a node under another name and remove this one after.`);
}

function renamedProblem(source: Source, before: string, after: string): ConfigProblem {
  const message = `the node that is running there is called ${before}, and a running node keeps its name`;
  return source.problem(['name'], message, `Write \`name: ${before}\`, or give ${after} addresses of its own.`);
}

function addressOf(node: EdgeConfig | ShieldConfig, key: (typeof ADDRESS_KEYS)[number]): string | undefined {
  if (key === 'tier' || key === 'control') return node[key];
  return 'listen' in node ? node[key] : undefined;
}

function changesBetween(before: RegionConfig, after: RegionConfig): string[] {
  const { reachableShields: shieldsBefore, fingerprint: _, ...fileBefore } = before;
  const { reachableShields: shieldsAfter, fingerprint: __, ...fileAfter } = after;
  const changes = [...new Set(changedPaths(fileBefore, fileAfter, []).map(keyOf))];
  // The region's own shields have keys of their own; what is left is the other region's file.
  const foreignBefore = shieldsBefore.slice(before.shields.length);
  const foreignAfter = shieldsAfter.slice(after.shields.length);
  const isReported = changes.some((key) => key.startsWith('shields_from'));
  return isReported || isDeepStrictEqual(foreignBefore, foreignAfter) ? changes : [...changes, 'shields_from'];
}

function changedPaths(before: unknown, after: unknown, path: KeyPath): KeyPath[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (Array.isArray(before) && Array.isArray(after)) {
    if (before.length !== after.length) return [path];
    return before.flatMap((item, index) => changedPaths(item, after[index], [...path, index]));
  }
  if (!isObject(before) || !isObject(after)) return [path];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => changedPaths(before[key], after[key], [...path, key]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
