/**
 * `seawall replay`: what another config, or another memory, would make of the requests of an access log.
 * @module
 */
import { loadRegion } from '../config/load.ts';
import type { RegionConfig } from '../config/schema.ts';
import { parseSize } from '../config/units.ts';
import { memoryOf } from '../config/workers.ts';
import { columns, defineCommand } from './command.ts';
import { Failure, UsageError } from './failure.ts';
import { print } from './output.ts';
import { Comparison, type Shared, type Totals } from './replay/comparison.ts';
import { linesOf } from './replay/lines.ts';
import { ReplayModel } from './replay/model.ts';

export const replay = defineCommand({
  name: 'replay',
  summary: 'Say what another config would make of the requests of an access log.',
  about: `
Plays access logs, oldest first, to the cache that nodes use, with the config of a
region file and without a network, and says what would change: hits, requests and
bytes that the origin gets, and answers that are not shared now and would be, with
examples. The logs have to be JSON with the field "replay" (access_log.fields), and
not sampled; .gz and .zst files are read as well. It takes as much memory as it plays
a cache of.`,
  operands: 'LOG...',
  options: {
    config: { type: 'text', value: 'FILE', required: true, help: 'Region file to play with.' },
    memory: {
      type: 'text',
      value: 'SIZE',
      help: 'Memory of all edges together. By default what the region file gives them.',
    },
    json: { type: 'flag', help: 'Print one line of JSON.' },
  },
  examples: ['access.jsonl --config new.yaml', 'access.jsonl.1.gz access.jsonl --config eu.yaml --memory 4GiB'],

  async run({ config, memory, json }, files) {
    if (files.length === 0) throw new UsageError('no log is named', 'Name one or more access logs.');
    const region = loadRegion(config);
    const bytes = memory === undefined ? memoryOfEdges(region) : parseSize(memory);
    if (bytes === undefined || bytes < 1) {
      throw new UsageError(`--memory: ${JSON.stringify(memory)} is no size`, 'Write one such as 512MiB or 4GiB.');
    }
    const comparison = new Comparison(new ReplayModel(region, bytes));
    for (const file of files) {
      for await (const lines of linesOf(file)) for (const line of lines) if (line !== '') await comparison.take(line);
    }
    if (comparison.requests === 0) throw new Failure(nothingPlayed(comparison));
    print(json ? JSON.stringify(report(comparison)) : linesOfReport(comparison).join('\n'));
    return 0;
  },
});

function memoryOfEdges(region: RegionConfig): number {
  return region.edges.reduce((sum, edge) => sum + memoryOf(region, edge), 0);
}

const LEFT_OUT_MEANINGS = {
  malformed: 'no line of JSON of an access log',
  sampled: 'of a sampled log',
  own: 'made by an edge itself, or without the field "replay"',
  'without-facts': 'without the field "replay"',
  'not-served': 'refused, or not served, by this config',
} as const;

function leftOutLines({ leftOut }: Comparison): string[] {
  return [...leftOut].map(
    ([why, count]) => `${grouped(count)} ${count === 1 ? 'line' : 'lines'} left out: ${LEFT_OUT_MEANINGS[why]}`,
  );
}

function nothingPlayed(comparison: Comparison): string {
  const fix = 'Fix: Have edges write JSON with access_log.fields: [replay], without sample.';
  return ['no line of the log can be replayed', ...leftOutLines(comparison), fix].join('. ');
}

function linesOfReport(comparison: Comparison): string[] {
  const { requests, bytes, logged, replayed, shared } = comparison;
  const rows: [string, (totals: Totals) => string][] = [
    ['hits, of requests', ({ hits }) => percent(hits, requests)],
    ['hits, of bytes', ({ hitBytes }) => percent(hitBytes, bytes)],
    ['origin requests', ({ originRequests }) => grouped(originRequests)],
    ['origin bytes', ({ originBytes }) => grouped(originBytes)],
  ];
  return [
    `${grouped(requests)} requests, ${grouped(bytes)} bytes`,
    ...columns([
      ['', `${'logged'.padStart(18)}${'replayed'.padStart(18)}`],
      ...rows.map(([what, of]) => [what, of(logged).padStart(18) + of(replayed).padStart(18)] as const),
    ]),
    ...leftOutLines(comparison),
    '',
    ...(shared.size === 0
      ? ['No answer would be shared that is not shared now.']
      : ['Answers that are not shared now, and would be:', ...[...shared.values()].flatMap(sharedLines)]),
  ];
}

function sharedLines({ reason, stored, answered, examples }: Shared): string[] {
  const why = reason === 'key' ? 'their keys differ now' : `not shared now: ${reason}`;
  return [
    `  ${why}; ${grouped(stored)} would be stored, ${grouped(answered)} requests answered with them`,
    ...[...examples].map(([url, rule]) => `    ${url} (${rule === undefined ? 'defaults' : `rule number ${rule}`})`),
  ];
}

function report({ requests, bytes, logged, replayed, leftOut, shared }: Comparison): object {
  const totals = ({ hits, hitBytes, originRequests, originBytes }: Totals): object => ({
    hits,
    hit_ratio: hits / requests,
    hit_bytes: hitBytes,
    origin_requests: originRequests,
    origin_bytes: originBytes,
  });
  return {
    requests,
    bytes,
    logged: totals(logged),
    replayed: totals(replayed),
    left_out: Object.fromEntries(leftOut),
    shared: [...shared.values()].map(({ examples, ...one }) => ({
      ...one,
      examples: [...examples].map(([url, rule]) => ({ url, rule: rule ?? null })),
    })),
  };
}

function percent(part: number, whole: number): string {
  return `${whole === 0 ? '0.0' : ((part / whole) * 100).toFixed(1)} %`;
}

function grouped(count: number): string {
  return count.toLocaleString('en-US');
}
