/**
 * `npm run bench`: Seawall beside the servers that people would pick instead, on
 * this machine. docs/performance.md says what is measured, and how.
 * @module
 */
import { BenchError, OptionError } from './bench/errors.ts';
import { writePage, writeResults } from './bench/files.ts';
import { judge } from './bench/goals.ts';
import { describeCommit, describeMachine } from './bench/machine.ts';
import { helpText, parseSettings, type Settings } from './bench/options.ts';
import { failuresOf, type Results } from './bench/results.ts';
import { type Progress, runAll } from './bench/runner.ts';
import { SCENARIOS } from './bench/scenarios/all.ts';
import type { ServerKind } from './bench/server.ts';
import { allServers } from './bench/servers.ts';
import { openStage } from './bench/stage.ts';
import { disturbance, goalLines, provenance, scenarioLines } from './bench/table.ts';

const PEERS = ['nginx', 'varnish', 'haproxy', 'trafficserver', 'floor', 'relay'];

async function main(args: readonly string[]): Promise<void> {
  const settings = parseSettings(
    args,
    SCENARIOS.map(({ name }) => name),
    PEERS,
  );
  switch (settings.action) {
    case 'help':
      process.stdout.write(helpText(SCENARIOS));
      return;
    case 'list':
      for (const { name, title } of SCENARIOS) console.log(`${name.padEnd(16)} ${title}`);
      return;
    case 'show-configs':
      showConfigs(allServers());
      return;
    case 'run':
      await run(settings);
  }
}

function showConfigs(servers: readonly ServerKind[]): void {
  for (const { title, configs } of servers) {
    for (const [name, text] of Object.entries(configs())) console.log(`\n# ${title}: ${name}\n\n${text.trim()}`);
  }
}

async function run(settings: Settings): Promise<void> {
  if (process.platform !== 'linux') throw new BenchError('processor time is read from /proc: this needs Linux');
  const servers = allServers().filter(({ name }) => isChosen(name, settings.peers));
  const scenarios = SCENARIOS.filter(({ name }) => settings.only.length === 0 || settings.only.includes(name));
  for (const { title, version } of servers) console.log(`${title.padEnd(28)} ${version ?? 'not installed: left out'}`);

  const machine = describeMachine();
  if (!machine.isPinned) console.log('Nothing is pinned: one processor, or no taskset.');
  const date = new Date().toISOString();
  const stage = await openStage();
  const measured = await runAll(
    scenarios,
    servers.filter(({ version }) => version !== undefined),
    { stage, options: settings },
    progress(),
  );
  await stage.close();
  const results: Results = {
    date,
    ...describeCommit(),
    machine,
    versions: Object.fromEntries(servers.map(({ name, version }) => [name, version ?? null])),
    rounds: settings.rounds,
    seconds: settings.seconds,
    scenarios: measured,
    goals: judge(measured),
  };

  console.log(`\n${goalLines(results.goals).join('\n')}\n\n${provenance(results)}`);
  const warning = disturbance(measured);
  if (warning !== undefined) console.log(`\n${warning}\n`);
  const failures = failuresOf(measured);
  for (const failure of failures) console.log(`Seawall failed in ${failure}`);
  const isWhole = settings.only.length === 0 && settings.peers === undefined && failures.length === 0;
  const written = writeResults(results, isWhole ? 'latest' : 'partial');
  if (settings.writeDocs && isWhole) written.push(writePage(results));
  console.log(`Written: ${written.join(', ')}`);
  if (failures.length > 0) process.exitCode = 1;
}

/** `nginx` stands for both of its settings; Seawall is always there. */
function isChosen(name: string, peers: readonly string[] | undefined): boolean {
  return (
    peers === undefined || name === 'seawall' || peers.some((peer) => name === peer || name.startsWith(`${peer}-`))
  );
}

/** Prints progress, on one line that is overwritten if standard error is a terminal. */
function progress(): Progress {
  const terminal = process.stderr;
  const clear = (): void => {
    if (terminal.isTTY) terminal.write('\r\x1b[K');
  };
  let current = '';
  return {
    scenario({ name }, index, count) {
      current = `[${index + 1}/${count}] ${name}`;
    },
    step(text) {
      clear();
      terminal.write(terminal.isTTY ? `${current}: ${text}` : `${current}: ${text}\n`);
    },
    done(result) {
      clear();
      console.log(`\n${scenarioLines(result).join('\n')}`);
    },
  };
}

try {
  await main(process.argv.slice(2));
  process.exit();
} catch (error) {
  console.error(error instanceof BenchError ? `bench: ${error.message}` : error);
  process.exit(error instanceof OptionError ? 2 : 1);
}
