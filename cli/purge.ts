/**
 * `seawall purge`: asks a control node to purge, and says what came of it.
 * @module
 */

import { quote } from '../config/problem.ts';
import { parseDuration } from '../config/units.ts';
import type { ProblemDocument } from '../control/errors.ts';
import { type DryRunAnswer, MAX_WAIT_SECONDS, type Receipt } from '../control/schemas.ts';
import { columns, defineCommand } from './command.ts';
import { answerOf, CONTROL_OPTIONS, callControl, sayRefusal, tokenOf } from './control-api.ts';
import { controlUrl } from './control-url.ts';
import { EXIT_FAILURE, Failure, UsageError } from './failure.ts';
import { print } from './output.ts';

/** It is in the journal, but not every node has said yet that it has applied it. */
const EXIT_PENDING = 3;

const KINDS = ['url', 'tag', 'prefix', 'pattern', 'host'] as const;

/** Option that each member of the body comes from. */
const OPTIONS: Readonly<Record<string, string>> = {
  files: 'url',
  tags: 'tag',
  prefixes: 'prefix',
  patterns: 'pattern',
  hosts: 'host',
};

/** Beyond what the control node may wait for nodes. */
const PATIENCE_MS = 15_000;

export const purge = defineCommand({
  name: 'purge',
  summary: 'Purge URLs, tags, prefixes, patterns, hosts or everything.',
  about: `
Asks the control node. All that is named is purged, or nothing. Waits until every
node has applied it. Exits with 0 when all have, with 1 when it is refused, and with
${EXIT_PENDING} when the time is over and some node has not: a node that is cut off from the
control node goes on serving what was purged until its lease ends (purges.lease, 60s
by default), then revalidates. It applies what it missed when it is connected again.
A node that is gone for good is waited for until it is forgotten: seawall node forget.`,
  options: {
    url: { type: 'list', value: 'URL', help: 'Purge a URL with all its variants. Like the others, can be repeated.' },
    tag: { type: 'list', value: 'TAG', help: 'Purge by tag; needs --site.' },
    prefix: { type: 'list', value: 'HOST/PATH', help: 'Purge URLs that begin with this text.' },
    pattern: {
      type: 'list',
      value: 'HOST/PATH',
      help: 'Purge URLs that fit as a whole; * stands for any characters. Quote it for the shell.',
    },
    host: { type: 'list', value: 'HOST', help: 'Purge a host.' },
    everything: { type: 'flag', help: 'Purge all of --site; without --site, all of every site.' },
    site: { type: 'text', value: 'NAME', help: 'Site of --tag and --everything.' },
    soft: { type: 'flag', help: 'Mark responses stale instead of removing them.' },
    'no-wait': { type: 'flag', help: 'Return once the purge is in the journal; do not wait for the nodes.' },
    timeout: { type: 'text', value: 'DURATION', help: 'Maximum time to wait, up to 60s. Default: 10s.' },
    'dry-run': { type: 'flag', help: 'Purge nothing; print the number of stored responses that match.' },
    reason: { type: 'text', value: 'TEXT', help: 'Reason to record with the purge.' },
    key: { type: 'text', value: 'KEY', help: 'Idempotency key: a retry with the same key does not purge again.' },
    ...CONTROL_OPTIONS,
  },
  examples: [
    '--url https://www.example.com/news',
    '--site shop --tag product-17 --tag product-18 --soft',
    '--prefix www.example.com/blog/ --dry-run',
    "--pattern 'www.example.com/shop/*/print'",
    '--site shop --everything',
  ],

  async run(options) {
    if (KINDS.every((kind) => options[kind].length === 0) && !options.everything) {
      throw new UsageError(
        'it is not said what to purge',
        'Give --url, --tag, --prefix, --pattern, --host or --everything.',
      );
    }
    const wait = !options['no-wait'] && !options['dry-run'];
    const body = {
      ...(options.site !== undefined && { site: options.site }),
      ...(options.url.length > 0 && { files: options.url }),
      ...(options.tag.length > 0 && { tags: options.tag }),
      ...(options.prefix.length > 0 && { prefixes: options.prefix }),
      ...(options.pattern.length > 0 && { patterns: options.pattern }),
      ...(options.host.length > 0 && { hosts: options.host }),
      ...(options.everything && { purge_everything: true }),
      ...(options.soft && { soft: true }),
      ...(wait && { wait: 'applied' }),
      ...(options.timeout !== undefined && { timeout_seconds: seconds(options.timeout) }),
      ...(options['dry-run'] && { dry_run: true }),
      ...(options.reason !== undefined && { reason: options.reason }),
    };
    const token = tokenOf(options.token);
    const { status, answer } = await call(controlUrl(options.control, '/v1/purges'), body, token, options.key);
    if (options.json) print(JSON.stringify(answer));
    if (status >= 400) return refused(answer as ProblemDocument, options.json);
    if (!options.json) {
      const lines = 'dry_run' in answer ? dryRunLines(answer) : receiptLines(answer as Receipt);
      print(lines.join('\n'));
    }
    return wait && status === 202 ? EXIT_PENDING : 0;
  },
});

type Answer = Receipt | DryRunAnswer | ProblemDocument;

/** @throws {Failure} when there is no control node, or it is something else that answers. */
async function call(
  url: URL,
  body: object,
  token: string,
  key: string | undefined,
): Promise<{ status: number; answer: Answer }> {
  const signal = AbortSignal.timeout(MAX_WAIT_SECONDS * 1_000 + PATIENCE_MS);
  const response = await callControl(url, { method: 'POST', token, body, idempotencyKey: key, signal });
  if ('reason' in response) {
    const purged = response.isRefused
      ? 'nothing was purged. Is it the control node of the region file? --control or SEAWALL_CONTROL names another'
      : 'whether anything was purged is not known';
    throw new Failure(`${url.origin} does not answer (${response.reason}); ${purged}`);
  }
  return { status: response.status, answer: await answerOf(url, response) };
}

function seconds(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms <= MAX_WAIT_SECONDS * 1_000) return ms / 1_000;
  throw new UsageError(
    `--timeout: ${quote(text)} is not a duration up to ${MAX_WAIT_SECONDS}s`,
    'Write it as 500ms or 10s.',
  );
}

function refused(problem: ProblemDocument, json: boolean): number {
  if (!json) {
    sayRefusal(problem, ({ pointer, header, parameter }) =>
      pointer === undefined ? (header ?? parameter) : optionAt(pointer),
    );
  }
  return EXIT_FAILURE;
}

/** `--tag` for the pointer `/tags/0`; of several, which one. */
function optionAt(pointer: string): string {
  const [, member = '', index] = pointer.split('/');
  const option = `--${OPTIONS[member] ?? (member === 'purge_everything' ? 'everything' : member.replaceAll('_', '-'))}`;
  return index === undefined || index === '0' ? option : `${option} (number ${Number(index) + 1})`;
}

function receiptLines({ id, status, first, last, soft, kinds, nodes }: Receipt): string[] {
  const numbers = first === last ? `number ${first}` : `numbers ${first} to ${last}`;
  const applied = nodes.filter((node) => node.applied).length;
  const state = status === 'applied' ? 'applied everywhere' : `applied by ${applied} of ${nodes.length} nodes so far`;
  return [
    `${soft ? 'Soft purge' : 'Purge'} of ${kindWords(kinds)}, ${numbers}: ${state}`,
    ...columns(nodes.map((node) => [node.name, nodeWords(node)])),
    `Receipt: ${id}`,
  ];
}

function nodeWords({ applied, validates, connected, after_ms: ms }: Receipt['nodes'][number]): string {
  if (applied) return ms === null ? 'applied' : `applied after ${ms.toFixed(1)} ms`;
  if (validates) return 'not applied: its lease is over, so that it validates what it serves';
  return connected ? 'not yet' : 'not yet: it does not follow the journal at the moment';
}

function dryRunLines({ kinds, nodes }: DryRunAnswer): string[] {
  const sum = nodes.reduce((total, { matches }) => total + (matches ?? 0), 0);
  return [
    `Nothing was purged. A purge of ${kindWords(kinds)} would concern ${sum} stored responses:`,
    ...columns(
      nodes.map(({ name, matches, problem }) => [name, matches === null ? `not known: ${problem}` : `${matches}`]),
    ),
  ];
}

const WORDS: Readonly<Record<string, readonly [string, string]>> = {
  url: ['URL', 'URLs'],
  variant: ['variant', 'variants'],
  tag: ['tag', 'tags'],
  prefix: ['prefix', 'prefixes'],
  pattern: ['pattern', 'patterns'],
  host: ['host', 'hosts'],
  site: ['whole site', 'whole sites'],
};

function kindWords(kinds: Readonly<Record<string, number>>): string {
  return Object.entries(kinds)
    .map(([kind, count]) => {
      const [one, many] = WORDS[kind] ?? ['', ''];
      return kind === 'everything' ? 'everything' : `${count} ${count === 1 ? one : many}`;
    })
    .join(', ');
}
