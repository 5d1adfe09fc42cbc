/**
 * `seawall explain`: what would become of a request at each node, and why.
 * @module
 */
import { type Explanation, LIFETIME_MEANINGS, type StoredExplanation, VERDICT_MEANINGS } from '../cache/explanation.ts';
import type { ProblemDocument } from '../control/errors.ts';
import { defineCommand } from './command.ts';
import { answerOf, CONTROL_OPTIONS, callControl, sayRefusal, tokenOf } from './control-api.ts';
import { controlUrl } from './control-url.ts';
import { EXIT_FAILURE, Failure, UsageError } from './failure.ts';
import { print } from './output.ts';

/** A node that fetches may take ten seconds, and is asked twice more. */
const TIMEOUT_MS = 40_000;

export const explain = defineCommand({
  name: 'explain',
  summary: 'Explain what would become of a request at each node, and why.',
  about: `
Asks the control node, which asks the edges of a region and the shields: the site, the
rule with its file and line, the key and its parts, who owns it, what is stored and
since when, how fresh that is, and which purge has named it. Needs a token that was
made with --read. Nothing changes; with
--fetch the owner makes the request as well, through the cache, and says what came of
it. Exits with 1 when no node answers, or the request is refused by all.`,
  operands: 'URL',
  options: {
    header: { type: 'list', value: "'NAME: VALUE'", short: 'H', help: 'A field of the request. Can be repeated.' },
    head: { type: 'flag', help: 'A HEAD request. By default GET.' },
    address: {
      type: 'text',
      value: 'ADDRESS',
      help: 'IP address of the visitor; matters where a site goes by places.',
    },
    region: { type: 'text', value: 'NAME', help: 'Region whose edges are asked. By default the first with the site.' },
    fetch: { type: 'flag', help: 'Make the request as well. What may be stored is stored.' },
    ...CONTROL_OPTIONS,
  },
  examples: ['https://www.example.com/news', "https://www.example.com/news -H 'Accept-Language: de' --fetch"],

  async run(options, operands) {
    const [url, ...more] = operands;
    if (url === undefined) throw new UsageError('no URL is given', 'Give one, such as https://www.example.com/news.');
    if (more[0] !== undefined) throw new UsageError(`${JSON.stringify(more[0])} is not expected here`, 'Give one URL.');
    const { address, region } = options;
    const body = {
      url,
      method: options.head ? 'HEAD' : 'GET',
      headers: options.header,
      fetch: options.fetch,
      ...(address !== undefined && { address }),
      ...(region !== undefined && { region }),
    };
    const token = tokenOf(options.token);
    const { status, answer } = await call(controlUrl(options.control, '/v1/explain'), body, token);
    if (options.json) print(JSON.stringify(answer));
    if (status >= 400) {
      if (!options.json) sayRefusal(answer as ProblemDocument, ({ pointer }) => placeOf(pointer));
      return EXIT_FAILURE;
    }
    const explained = answer as Explained;
    if (!options.json) print(linesOf(url, explained).join('\n'));
    return explained.nodes.some(({ explanation }) => explanation !== null && explanation.refused === null)
      ? 0
      : EXIT_FAILURE;
  },
});

interface Node {
  readonly region: string;
  readonly name: string;
  readonly role: 'edge' | 'shield';
  readonly explanation: Explanation | null;
  readonly problem: string | null;
}

interface Explained {
  readonly region: string;
  readonly nodes: readonly Node[];
}

/** @throws {Failure} when there is no control node, or it is something else that answers. */
async function call(
  url: URL,
  body: object,
  token: string,
): Promise<{ status: number; answer: Explained | ProblemDocument }> {
  const response = await callControl(url, { method: 'POST', token, body, signal: AbortSignal.timeout(TIMEOUT_MS) });
  if ('reason' in response) {
    throw new Failure(`${url.origin} does not answer (${response.reason}); --control or SEAWALL_CONTROL names another`);
  }
  return { status: response.status, answer: await answerOf(url, response) };
}

/** Operand or option that each member of the body comes from. */
const PLACES: Readonly<Record<string, string>> = { url: 'URL', headers: '--header' };

function placeOf(pointer: string | undefined): string | undefined {
  const [, member] = pointer?.split('/') ?? [];
  return member === undefined ? undefined : (PLACES[member] ?? `--${member}`);
}

function linesOf(url: string, { nodes }: Explained): string[] {
  const first = nodes.find(({ explanation }) => explanation !== null)?.explanation;
  return [url, ...(first ? requestLines(first) : []), ...nodes.flatMap((node) => ['', ...nodeLines(node)])];
}

/** Lines about what is the same at all edges. */
function requestLines({ refused, redirect, site, rule, path, key, personal, owners, shields }: Explanation): string[] {
  if (refused !== null) return [`  refused   ${refused.status} ${refused.code}: ${refused.meaning}`];
  const lines = [`  site      ${site}`];
  if (redirect !== null) lines.push(`  redirect  ${redirect}`);
  if (rule !== null) {
    const place = rule.line === null ? '' : `, ${rule.file}:${rule.line}`;
    const number = rule.number === null ? 'none matches: the defaults' : `number ${rule.number}${place}`;
    lines.push(`  rule      ${number}${rule.bypasses ? ' (never cached)' : ''}`);
  }
  lines.push(`  path      ${path ?? 'servers read it in different ways: nothing is stored for it'}`);
  if (key !== null) lines.push(`  key       ${key.url}`, ...key.more.map((part) => `            ${part}`));
  lines.push(`  personal  ${personal ?? 'no'}`);
  if (owners.length > 0) lines.push(`  owners    ${owners.join(', ')}`);
  if (shields.length > 0) lines.push(`  shields   ${shields.join(', ')}`);
  return lines;
}

function nodeLines({ name, role, region, explanation, problem }: Node): string[] {
  const title = `${name} (${role}, ${region})`;
  if (explanation === null) return [`${title}: ${problem}`];
  const { refused, lookup, fetched } = explanation;
  if (refused !== null) return [`${title}: refused with ${refused.status} ${refused.code}`];
  if (lookup === null) return [title];
  const why = lookup.fwd === null ? '' : ` ${lookup.fwd}: ${lookup.fwd_meaning}`;
  return [
    `${title}: ${lookup.outcome}. ${lookup.meaning}${why}`,
    ...(lookup.unverified ? ['  The journal was not heard of for longer than the lease: purges may be missing.'] : []),
    ...(lookup.from_disk ? ['  Read from disk: memory had nothing under the key.'] : []),
    ...lookup.stored.flatMap(storedLines),
    ...(fetched === undefined ? [] : [`  fetched: status ${fetched.status}`]),
    ...(fetched?.members ?? []).flatMap(({ text, meanings }) => [
      `    ${text}`,
      ...meanings.map((one) => `      ${one}`),
    ]),
  ];
}

function storedLines(stored: StoredExplanation): string[] {
  const { status, bytes, since, selected, vary, withheld, freshness, purges, tags, etag } = stored;
  const { lifetime, lifetime_from: from, initial_age: initial, age, remaining } = freshness;
  const ended = remaining > 0 ? `fresh for ${remaining} s` : `stale for ${-remaining} s`;
  const windows = [
    ...(freshness.stale_while_revalidate > 0 ? [`while revalidated ${freshness.stale_while_revalidate} s`] : []),
    ...(freshness.stale_if_error > 0 ? [`if the origin fails ${freshness.stale_if_error} s`] : []),
  ];
  return [
    `  stored: ${status}, ${bytes} bytes, since ${since}${etag === null ? '' : `, ${etag}`}${stored.complete ? '' : ', a part'}`,
    ...(selected ? [] : ['    made for other fields:']),
    ...vary.map(({ name, stored: own, asked }) => `    ${name}: stored ${own ?? '(none)'}, asked ${asked ?? '(none)'}`),
    ...(withheld ? ['    not for a personal request'] : []),
    `    lifetime ${lifetime} s${from == null ? '' : `: ${LIFETIME_MEANINGS[from]}`}`,
    `    age ${age} s, of which ${initial} s when it arrived (RFC 9111, section 4.2.3): ${ended}`,
    ...(windows.length > 0 ? [`    stale it may answer ${windows.join(', ')} (RFC 5861)`] : []),
    ...(freshness.directives.length > 0 ? [`    the origin says ${freshness.directives.join(', ')}`] : []),
    ...(tags.length > 0 ? [`    tags ${tags.join(', ')}`] : []),
    `    purges: ${purgeWords(purges)}`,
  ];
}

function purgeWords({ verdict, as_of: asOf, newest }: StoredExplanation['purges']): string {
  const named = newest === null ? '' : `, the newest that names it is number ${newest}`;
  return `${VERDICT_MEANINGS[verdict]} It is as new as number ${asOf}${named}.`;
}
