/** Parses the output of h2load, and its log of single requests (h2load(1)). @module */
import { quantile } from '../storm/quantiles.ts';

/** @throws {Error} when the lines that count are not there. */
export function parseH2load(output: string): {
  requests: number;
  bytes: number;
  seconds: number;
  failed: number;
  refused: number;
} {
  const finished = /^finished in ([\d.]+)(us|ms|s|m), /m.exec(output);
  const requests = /^requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored/m.exec(
    output,
  );
  const statuses = /^status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/m.exec(output);
  const traffic = /^traffic: .*?\((\d+)\) total/m.exec(output);
  if (!finished || !requests || !statuses || !traffic) throw new Error(`not what h2load prints: ${output.slice(-500)}`);
  const [, succeeded, failed, errored] = requests.map(Number);
  const [, , clientErrors, serverErrors] = statuses.map(Number);
  return {
    requests: succeeded ?? 0,
    bytes: Number(traffic[1]),
    seconds: Number(finished[1]) * (UNIT_SECONDS[finished[2] ?? 's'] ?? 1),
    failed: (failed ?? 0) + (errored ?? 0),
    refused: (clientErrors ?? 0) + (serverErrors ?? 0),
  };
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { us: 1e-6, ms: 1e-3, s: 1, m: 60 };

/** @param log - A line for each request: start in microseconds, status, duration in microseconds. */
export function percentilesOf(log: string): { p50Micros: number; p99Micros: number } {
  const durations = log
    .split('\n')
    .map((line) => Number(line.split('\t')[2] ?? Number.NaN))
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
  return { p50Micros: quantile(durations, 0.5), p99Micros: quantile(durations, 0.99) };
}
