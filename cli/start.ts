/**
 * `seawall start`: runs what region files say.
 * @module
 */
import { checkRegions } from '../config/check.ts';
import { problemWithout } from '../config/document.ts';
import { ConfigError, type ConfigProblem, quote } from '../config/problem.ts';
import { reloadRegions } from '../config/reload.ts';
import type { RegionConfig } from '../config/schema.ts';
import { createLog } from '../telemetry/log.ts';
import { defineCommand } from './command.ts';
import { UsageError } from './failure.ts';
import { handoverOf, plansOf, startNodes } from './nodes.ts';
import { closeLimitMs, logLevel, RUN_ABOUT, RUN_OPTIONS, run } from './run.ts';

export const start = defineCommand({
  name: 'start',
  summary: 'Run the nodes of a region file: all of them, or one.',
  about: `
Runs the nodes that region files name, in this process. A machine of its own for
each node is the usual way: the same file everywhere, and --node says which one
this is.
${RUN_ABOUT}`,
  operands: 'FILE...',
  options: {
    node: { type: 'text', value: 'NAME', help: 'Run only the node of this name.' },
    ...RUN_OPTIONS,
  },
  examples: ['config/regions/eu.yaml', 'config/regions/eu.yaml --node eu-1 --json'],

  async run({ node, json, 'log-level': wantedLevel }, files) {
    const level = logLevel(wantedLevel);
    const logFor = (name: string) => createLog({ name, level });
    let regions: readonly RegionConfig[] = load(files);
    if (node !== undefined && !isNamed(node, regions)) {
      const names = plansOf(regions).map(({ name }) => name);
      const where = regions.map(({ file }) => file).join(' and ');
      throw new UsageError(`--node: ${where} names no node ${quote(node)}`, `The nodes are ${names.join(', ')}.`);
    }

    return run(
      async () => {
        const nodes = await startNodes({
          regions,
          wanted: ({ name }) => node === undefined || name === node,
          logFor,
        });
        return {
          nodes: nodes.list,
          get closeLimitMs() {
            return closeLimitMs(regions);
          },
          async reload() {
            const reloads = reloadRegions(regions);
            const configs = reloads.map(({ config }) => config);
            if (node !== undefined && !isNamed(node, configs)) throw new ConfigError([removedProblem(node, files)]);
            const refused = await nodes.problems(configs);
            if (refused.length > 0) throw new ConfigError(refused);
            regions = configs;
            await nodes.update(regions);
            logFor('seawall').info({ changes: reloads.flatMap(({ changes }) => changes) }, 'the config was read again');
          },
          handover: handoverOf(() => nodes.list),
          close: () => nodes.close(),
        };
      },
      { level, json, logsToOutput: regions.some(({ access_log: log }) => log?.to === '-') },
    );
  },
});

function load(files: readonly string[]): RegionConfig[] {
  const { regions, problems } = checkRegions(files);
  if (problems.length > 0) throw new ConfigError(problems);
  return regions;
}

function isNamed(node: string, regions: readonly RegionConfig[]): boolean {
  return plansOf(regions).some(({ name }) => name === node);
}

function removedProblem(node: string, files: readonly string[]): ConfigProblem {
  return problemWithout(
    files.join(' and '),
    '',
    `${node}, which runs here, is not named any more`,
    'Stop this process to take the node away, or name it again.',
  );
}
