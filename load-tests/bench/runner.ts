/** Runs scenarios: servers in turn, round after round. @module */
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError } from './errors.ts';
import type { Measures } from './metrics.ts';
import { compare, NOT_AVAILABLE, type ScenarioResult } from './results.ts';
import type { Context, Scenario } from './scenario.ts';
import type { Server, ServerKind } from './server.ts';

/** Progress reports of a run. */
export interface Progress {
  scenario(scenario: Scenario, index: number, count: number): void;
  /** One word about what is done right now. */
  step(text: string): void;
  done(result: ScenarioResult): void;
}

/** Servers that run for scenarios of one setup. */
class Company {
  readonly setup: string;
  readonly #servers = new Map<string, Server>();

  constructor(setup: string) {
    this.setup = setup;
  }

  async get(kind: ServerKind, scenario: Scenario, { stage }: Context): Promise<Server> {
    const known = this.#servers.get(kind.name);
    if (known && known.running.child.exitCode === null && known.running.child.signalCode === null) return known;
    const server = await kind.start(stage, scenario.setup);
    this.#servers.set(kind.name, server);
    return server;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#servers.values()].map((server) => server.stop()));
  }
}

/**
 * @param compared - Servers that take part wherever they are able to.
 * @returns A result for each scenario; what fails is said in it.
 */
export async function runAll(
  scenarios: readonly Scenario[],
  compared: readonly ServerKind[],
  context: Context,
  progress: Progress,
): Promise<ScenarioResult[]> {
  const results: ScenarioResult[] = [];
  let company = new Company('');
  try {
    for (const [index, scenario] of scenarios.entries()) {
      progress.scenario(scenario, index, scenarios.length);
      if (scenario.setup.name !== company.setup) {
        await company.stop();
        company = new Company(scenario.setup.name);
      }
      const result = await runOne(scenario, compared, company, context, progress);
      results.push(result);
      progress.done(result);
    }
  } finally {
    await company.stop();
  }
  return results;
}

/** One server in one scenario. */
interface Entry {
  readonly kind: ServerKind;
  readonly rounds: Measures[];
  server?: Server;
  problem?: string;
}

async function runOne(
  scenario: Scenario,
  compared: readonly ServerKind[],
  company: Company,
  context: Context,
  progress: Progress,
): Promise<ScenarioResult> {
  const { name, title, primary, metrics, needs } = scenario;
  const common = { name, title, primary, metrics };
  const unavailable = scenario.unavailable();
  if (unavailable !== undefined) return { ...common, unavailable, servers: [] };

  const entries: Entry[] = (scenario.kinds?.(compared) ?? compared).map((kind) => ({ kind, rounds: [] }));
  for (const entry of entries) {
    const { kind } = entry;
    if (kind.version === undefined) entry.problem = NOT_AVAILABLE;
    else if (!needs.some((ability) => kind.abilities.has(ability))) entry.problem = NOT_AVAILABLE;
    else await guarded(entry, () => enter(entry, scenario, company, context, progress));
  }

  const { rounds: asked } = context.options;
  const rounds = scenario.rounds?.(asked) ?? asked;
  for (let round = 0; round < rounds; round += 1) {
    // Forth and back: what a server leaves behind for the next one falls on both sides.
    for (const entry of round % 2 === 0 ? entries : entries.toReversed()) {
      const { server, kind } = entry;
      if (server === undefined || entry.problem !== undefined) continue;
      progress.step(`round ${round + 1} of ${rounds}: ${kind.title}`);
      await guarded(entry, async () => {
        entry.rounds.push(await scenario.measure(server, context, round));
      });
    }
  }
  const measured = entries.map(({ kind, rounds: measures, problem }) => ({
    name: kind.name,
    title: kind.title,
    rounds: measures,
    ...(problem === undefined ? {} : { problem }),
  }));
  return { ...common, servers: compare(measured, primary) };
}

async function enter(
  entry: Entry,
  scenario: Scenario,
  company: Company,
  context: Context,
  progress: Progress,
): Promise<void> {
  progress.step(`filling ${entry.kind.title}`);
  entry.server = await company.get(entry.kind, scenario, context);
  await scenario.prepare(entry.server, context);
}

/** Its connections break before its end is known. */
const ENDING_MS = 200;

/** A server that fails is left out; the others go on. */
async function guarded(entry: Entry, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const outputTail = error instanceof Error ? error.message : String(error);
    const text = outputTail.includes('\n') ? tellingLine(outputTail) : outputTail;
    await sleep(ENDING_MS);
    const ended = entry.server && howEnded(entry.server);
    entry.problem = ended ?? (error instanceof BenchError ? text : `failed: ${text}`);
  }
}

/** Lines of a crash that say what it was, instead of where. */
const CRASH = /^\S*(?:Error|FATAL|panic|ALERT|emerg)\b.*$/im;

/** @returns What it said, if it has ended by itself. */
function howEnded({ running: { child, outputTail } }: Server): string | undefined {
  const ended = child.exitCode ?? child.signalCode;
  if (ended === null) return undefined;
  return `it ended (${ended}): ${tellingLine(outputTail())}`;
}

function tellingLine(text: string): string {
  return CRASH.exec(text)?.[0] ?? text.split('\n').at(-1) ?? '';
}
