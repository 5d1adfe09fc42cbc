/**
 * Prometheus as a child process: Debian's package, with the rules and the scrapes of `ops/prometheus`.
 * @module
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '../support/ports.ts';
import { RULES } from './queries.ts';

const SERVER = '/usr/bin/prometheus';
const TOOL = '/usr/bin/promtool';

/** Time limit for it to answer, and for every node to be scraped. */
const PATIENCE_MS = 20_000;

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
}

export interface Prometheus {
  /** @throws {Error} with Prometheus' words, if it does not take the query. */
  query(expr: string): Promise<readonly Sample[]>;
  /** Resolves when a query has as many samples. */
  until(expr: string, count: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Runs promtool.
 *
 * @throws {Error} with what it printed.
 */
export async function promtool(...args: string[]): Promise<void> {
  demand(TOOL);
  try {
    await promisify(execFile)(TOOL, args);
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
    throw new Error(`promtool ${args.join(' ')}: ${stdout}${stderr}`);
  }
}

/** @param targets - Control listeners, as HOST:PORT. */
export async function startPrometheus(targets: readonly string[]): Promise<Prometheus> {
  demand(SERVER);
  const folder = mkdtempSync(join(tmpdir(), 'seawall-prometheus-'));
  const address = `127.0.0.1:${await freePort()}`;
  const config = join(folder, 'prometheus.yaml');
  writeFileSync(
    config,
    JSON.stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [RULES],
      scrape_configs: [{ job_name: 'seawall', static_configs: [{ targets }] }],
    }),
  );
  // Ended as well when this process is killed and runs no teardown.
  const child = spawn(
    '/usr/bin/setpriv',
    [
      ...['--pdeathsig=KILL', '--', SERVER, `--config.file=${config}`, `--storage.tsdb.path=${join(folder, 'data')}`],
      ...[`--web.listen-address=${address}`, '--log.level=error'],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const exited = once(child, 'exit');

  const query = async (expr: string): Promise<readonly Sample[]> => {
    const response = await fetch(`http://${address}/api/v1/query`, {
      method: 'POST',
      body: new URLSearchParams({ query: expr }),
    });
    const { status, error, data } = (await response.json()) as {
      readonly status: string;
      readonly error?: string;
      readonly data: { readonly result: readonly Sample[] };
    };
    if (status !== 'success') throw new Error(`${expr}: ${error}`);
    return data.result;
  };
  const until = async (expr: string, count: number): Promise<void> => {
    const end = performance.now() + PATIENCE_MS;
    let seen: unknown;
    do {
      seen = await query(expr).catch(String);
      if (Array.isArray(seen) && seen.length === count) return;
      await delay(100);
    } while (performance.now() < end);
    throw new Error(`${expr} has not had ${count} samples in ${PATIENCE_MS} ms, but ${JSON.stringify(seen)}`);
  };
  return {
    query,
    until,
    async close() {
      child.kill('SIGKILL');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function demand(program: string): void {
  if (!existsSync(program)) throw new Error(`${program} is missing: apt-get install prometheus`);
}
